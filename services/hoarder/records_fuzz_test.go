package hoarder

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// FuzzRecords: what another hoarder writes comes as it has written it, whatever that is. Nothing of it is more than left out.
func FuzzRecords(f *testing.F) {
	pinned := pinEntry("r", pinRecord{Kind: hoarderapi.Asset, Target: 3, Owner: "a", Seq: 1})
	claimed := storage.Entry{Key: claimKey("r", somePeers(1)[0]), Value: transport.Encode(claimRecord{Bytes: 7})}
	for _, e := range []storage.Entry{pinned, claimed, withdrawEntry("r", "a", "", 1)} {
		f.Add(string(e.Key), e.Value)
		f.Add(string(e.Key), []byte{})
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		if !storage.IsKey(key) {
			return
		}
		k := storage.Key(key)
		x := indexOf(t, pinned, claimed)
		for _, v := range [][]byte{value, {}, value, nil, value} {
			root, err := x.apply(k, v, time.Second)
			if err == nil {
				x.get(root).retarget()
			}
		}
		require.NotNil(t, x.inOrder())
	})
}
