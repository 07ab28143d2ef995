package blocks

import (
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

func encodeCIDs(list []storage.CID) [][]byte {
	raws := make([][]byte, len(list))
	for i, c := range list {
		raws[i] = c.Bytes()
	}
	return raws
}

func decodeCIDs(raws [][]byte) ([]storage.CID, error) {
	if len(raws) > getLenMax {
		return nil, transport.New(transport.Invalid, "decode", fmt.Sprintf("%d CIDs", len(raws)))
	}
	list := make([]storage.CID, len(raws))
	for i, raw := range raws {
		c, err := cid.Cast(raw)
		if err != nil {
			return nil, transport.New(transport.Invalid, "decode", err.Error())
		}
		list[i] = c
	}
	return list, nil
}
