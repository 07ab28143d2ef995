package hoarder

import (
	"errors"
	"fmt"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// entry is a decoded replicated entry. It is shared by the hoarders of a process, and never
// changed.
type entry struct {
	part  string
	root  string
	peer  transport.Peer // of a claim or a demand
	owner string         // of a pin or a withdrawal
	seq   uint64         // likewise
	id    string         // of a pin
	pin   *pin           // nil: it is deleted
	bytes int64          // of a claim
	total uint64         // of a demand
}

// entriesMax bounds the cache of decoded entries of a process.
const entriesMax = 1 << 16

var entries = storage.NewMemo(entriesMax, readEntry)

// readEntry decodes the entry of a key; an entry without value is a deleted one.
func readEntry(k storage.Key, value []byte) (*entry, error) {
	parts := k.Parts()
	if len(parts) < 3 {
		return nil, fmt.Errorf("hoarder: %s is no key of ours", k)
	}
	e := &entry{part: parts[0], root: parts[1]}
	var err error
	switch {
	case e.part == claimsPart && len(parts) == 3:
		var c claimRecord
		err = e.readPeer(parts[2], value, &c)
		e.bytes = c.Bytes
	case e.part == demandPart && len(parts) == 3:
		var d demandRecord
		err = e.readPeer(parts[2], value, &d)
		e.total = d.Total
	case e.part == withdrawnPart && len(parts) == 4:
		e.owner = parts[2]
		e.seq, err = parseSeq(parts[3])
	case e.part == pinsPart && len(parts) == 5:
		err = e.readPin(k, parts, value)
	default:
		err = errors.New("no key of ours")
	}
	if err != nil {
		return nil, fmt.Errorf("hoarder: %s: %w", k, err)
	}
	return e, nil
}

func (e *entry) readPeer(text string, value []byte, record any) (err error) {
	if e.peer, err = transport.ParsePeer(text); err != nil || len(value) == 0 {
		return err
	}
	return transport.Decode(value, record)
}

// readPin accepts a pin only under its own key, which is derived from it.
func (e *entry) readPin(k storage.Key, parts []string, value []byte) (err error) {
	e.owner, e.id = parts[2], parts[4]
	if e.seq, err = parseSeq(parts[3]); err != nil || len(value) == 0 {
		return err
	}
	var rec pinRecord
	if err := transport.Decode(value, &rec); err != nil {
		return err
	}
	e.pin = newPin(rec)
	if e.pin.key(e.root) != k {
		return errors.New("the pin is another's")
	}
	return nil
}
