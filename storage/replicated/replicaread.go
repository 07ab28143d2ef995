package replicated

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
)

// found is the contents of a replica's disk, as read.
type found struct {
	sums    diskSums
	known   bool // sums were there and sound
	empty   bool // there was nothing at all
	damaged bool // something was not sound
	// recovering: it was damaged, and only what was recovered counts.
	recovering bool
	records    map[generation][][]*element // by key, in the disk's order
	corrupt    map[string]bool             // keys of records that were not sound
	heads      []*head
	cut        *vector
	deltas     []*delta
	recovered  [][]*element // by key
}

// yield gives up the turn now and then while much is read or written.
type yield func() error

// readEach is how many things are read or written in one turn.
const readEach = 512

// read reads all that is on the disk below a place.
func readReplica(disk storage.Disk, at storage.Key, pause yield) (*found, error) {
	f := &found{empty: true, records: map[generation][][]*element{}, corrupt: map[string]bool{}, cut: newVector()}
	n := 0
	err := ondisk.Scan(disk, at, func(k storage.Key, raw []byte) error {
		f.empty = false
		if n++; n%readEach == 0 {
			if err := pause(); err != nil {
				return err
			}
		}
		err := f.take(k, string(k[len(at):]), raw)
		if errors.Is(err, storage.ErrCorrupt) { // it may be the reading that went wrong
			err = ondisk.ReadSound(disk, k, func(raw []byte) error { return f.take(k, string(k[len(at):]), raw) })
		}
		if errors.Is(err, storage.ErrCorrupt) || errors.Is(err, storage.ErrNotFound) {
			f.spoil(string(k[len(at):]))
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("storage: open replica: %w", err)
	}
	f.damaged = f.damaged || f.recovering || !f.empty && !f.whole()
	return f, nil
}

// spoil records that something is damaged.
func (f *found) spoil(key string) {
	f.damaged = true
	for _, g := range []generation{generationA, generationB} {
		if k, ok := cutPart(key, diskKeys+string(g)); ok {
			f.corrupt[k] = true
		}
	}
}

// take records one entry that was read.
func (f *found) take(k storage.Key, key string, raw []byte) (err error) {
	if id, ok := cutPart(key, diskDeltas); ok {
		return f.takeDelta(id, raw)
	}
	if raw, err = ondisk.Unseal(string(k), raw); err != nil {
		return err
	}
	if key == diskRecovering {
		f.recovering = true
		return nil
	}
	if key == diskState {
		f.sums, err = decodeSums(raw)
		f.known = err == nil
		return err
	}
	if writer, ok := cutPart(key, diskCut); ok {
		return f.takeCut(writer, raw)
	}
	if _, ok := cutPart(key, diskHeads); ok {
		h, _, err := cutHead(raw)
		if err == nil {
			f.heads = append(f.heads, h)
		}
		return err
	}
	return f.takeRecord(key, raw)
}

func (f *found) takeRecord(key string, raw []byte) error {
	for _, g := range []generation{generationA, generationB} {
		k, ok := cutPart(key, diskKeys+string(g))
		if !ok {
			continue
		}
		list, err := decodeRecord(k, raw)
		if err != nil {
			return err
		}
		f.records[g] = append(f.records[g], list)
		return nil
	}
	if k, ok := cutPart(key, diskRecovered); ok {
		list, err := decodeRecord(k, raw)
		if err == nil {
			f.recovered = append(f.recovered, list)
		}
		return err
	}
	return fmt.Errorf("%w: %s is nothing of a replica", storage.ErrCorrupt, key)
}

func (f *found) takeDelta(id string, raw []byte) error {
	d, err := decodeDelta(raw)
	if err != nil || d.id != id {
		return fmt.Errorf("%w: delta %s", storage.ErrCorrupt, id)
	}
	f.deltas = append(f.deltas, d)
	return nil
}

func (f *found) takeCut(writer string, raw []byte) error {
	w, err := strconv.ParseUint(writer[1:], 16, 64)
	if err != nil {
		return fmt.Errorf("%w: cut of %s", storage.ErrCorrupt, writer)
	}
	seq, _, err := cutUvarint(raw)
	f.cut.add(dot{w, seq})
	return err
}

// whole reports whether exactly the expected entries are there.
func (f *found) whole() bool {
	var elements, heads, tail count
	for _, list := range f.records[f.sums.gen] {
		for _, e := range list {
			elements.add(e.hash)
		}
	}
	for _, h := range f.heads {
		heads.add(h.hash)
	}
	for _, d := range f.deltas {
		tail.add(d.hash())
	}
	cuts := count{uint64(len(f.cut.last)), f.cut.sum}
	return f.known && elements == f.sums.elements && heads == f.sums.heads && tail == f.sums.tail && cuts == f.sums.cuts
}

// load fills the index from an undamaged disk. Nobody else may use the index meanwhile.
func (o *stagedIndex) load(f *found, pause yield) error {
	o.gen = f.sums.gen
	o.sum = f.sums.elements.sum
	for i, list := range f.records[o.gen] {
		for _, e := range list {
			o.elements.Insert(e)
		}
		if i%readEach == readEach-1 {
			if err := pause(); err != nil {
				return err
			}
		}
	}
	for _, h := range f.heads {
		o.heads[h.id] = h
	}
	o.tail.cut = f.cut
	o.vector = f.cut.clone()
	slices.SortFunc(f.deltas, compareDeltas)
	for _, d := range f.deltas {
		if d.dot.seq != o.vector.last[d.dot.writer]+1 {
			return fmt.Errorf("%w: a gap in the deltas", storage.ErrCorrupt)
		}
		o.vector.add(d.dot)
		o.tail.add(d.stub)
	}
	return nil
}
