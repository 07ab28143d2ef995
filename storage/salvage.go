package storage

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-ds-crdt/pb"
	"github.com/taucloud/tau/clock"
	"google.golang.org/protobuf/proto"
)

// salvage is what is known, beside the deltas that can be processed, of a
// replica whose index was partly corrupt when it was opened.
type salvage struct {
	records map[Key]*record // sound ones of the index
	damaged map[Key]bool    // keys whose record is corrupt
	sound   map[string]bool // ids of all sound deltas
	// inOrphans is what those of them set that are built on one that is not
	// sound, the highest last.
	inOrphans map[Key]orphanValue
}

type orphanValue struct {
	value []byte
	id    string // of the delta
}

// keep notes which of the sound deltas, sorted by height, cannot be processed.
func (s *salvage) keep(sound, connected []*delta) {
	s.sound, s.inOrphans = map[string]bool{}, map[Key]orphanValue{}
	isConnected := map[string]bool{}
	for _, d := range connected {
		isConnected[d.id] = true
	}
	for _, d := range sound {
		s.sound[d.id] = true
		if isConnected[d.id] {
			continue
		}
		for _, e := range d.elements() {
			s.inOrphans[Key(e.GetKey())] = orphanValue{e.GetValue(), d.id}
		}
	}
}

// origin groups what was written together.
func (s *salvage) origin(k Key) string {
	if r := s.records[k]; r != nil {
		return r.origin()
	}
	return s.inOrphans[k].id
}

// writes are what must be written again, given what there is by now and which
// deltas are part of it: what those set and is not there has been deleted. A
// batch is restored whole or not at all: what was in a delta that is corrupt is
// known from the records only, and those are only sure to be all if no key is
// left whose record is corrupt.
func (s *salvage) writes(present map[Key]*record, processed func(id string) bool) map[Key]write {
	writes := map[Key]write{}
	unknown := false
	for k := range s.damaged {
		if _, found := present[k]; found {
			continue
		}
		switch o, found := s.inOrphans[k]; {
		case !found:
			unknown = true
		case !processed(o.id):
			writes[k] = write{key: k, value: o.value[len(valueTag):]}
		}
	}
	for k, r := range s.records {
		if present[k] != nil || slices.ContainsFunc(r.elements, processed) {
			continue
		}
		if isSound := func(id string) bool { return s.sound[id] }; !unknown || slices.ContainsFunc(r.elements, isSound) {
			writes[k] = write{key: k, value: r.value[len(valueTag):]}
		}
	}
	return writes
}

// elements are what a delta sets.
func (d *delta) elements() []*pb.Element {
	var content pb.Delta
	proton, ok := d.node.(*merkledag.ProtoNode)
	if !ok || proto.Unmarshal(proton.Data(), &content) != nil {
		panic("storage: delta was decoded before and is not now: " + d.cid.String())
	}
	return content.GetElements()
}

// restoreSalvage writes again what nobody has supplied.
func (r *replica) restoreSalvage() error {
	if r.salvage == nil {
		return nil
	}
	s := r.salvage
	r.salvage = nil
	return r.restore(s.writes(r.overlay.present(), r.overlay.processed), s.origin)
}

// heal rebuilds the replica if err says that a delta on the disk is corrupt or
// lost, and returns err. What is built on that delta cannot be passed on any
// more; but all of it is in the index, and written again from there.
func (r *replica) heal(err error) error {
	if !errors.Is(err, ErrCorrupt) {
		return err
	}
	known := r.overlay.present()
	if err := r.reset(err); errors.Is(err, clock.ErrStopped) {
		return err
	}
	now := r.overlay.present()
	writes := map[Key]write{}
	for k := range now {
		if known[k] == nil {
			writes[k] = write{key: k, delete: true}
		}
	}
	for k, was := range known {
		if is := now[k]; is == nil || !bytes.Equal(is.value, was.value) {
			writes[k] = write{key: k, value: was.value[len(valueTag):]}
		}
	}
	return errors.Join(err, r.restore(writes, func(k Key) string { return known[k].origin() }))
}

// restore commits writes, in deltas that can travel; the keys of one group stay
// together. Other replicas hear of it by anti-entropy.
func (r *replica) restore(writes map[Key]write, group func(k Key) string) error {
	keys := slices.SortedFunc(maps.Keys(writes), func(a, b Key) int {
		return cmp.Or(strings.Compare(group(a), group(b)), a.Compare(b))
	})
	part, size := map[Key]write{}, 0
	for i, k := range keys {
		part[k] = writes[k]
		size += len(k) + len(writes[k].value)
		ends := i == len(keys)-1 || group(keys[i+1]) != group(k)
		if ends && (size > deltaSizeMax/2 || i == len(keys)-1) {
			if _, err := r.commit(part); err != nil {
				return err
			}
			part, size = map[Key]write{}, 0
		}
	}
	return nil
}

// origin is the delta that set a key last, as far as the record says.
func (r *record) origin() string {
	if r == nil || len(r.elements) == 0 {
		return ""
	}
	return r.elements[len(r.elements)-1]
}
