package replicated

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/ipfs/go-datastore"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
)

// Parts of the key space on the disk, below a replica's place. All but the deltas are sealed.
const (
	diskKeys      = "/k" // of each generation: a record, which is its elements, for each key
	diskHeads     = "/h" // for each head, by id
	diskDeltas    = "/n" // the deltas themselves, by id
	diskCut       = "/p" // for each writer, how far the deltas were cut
	diskState     = "/s" // the expected numbers of all these, and their sums
	diskRecovered = "/r" // the intact contents of a damaged replica that are to be written again, by key
	// diskRecovering says that the recovered contents are complete and everything else is garbage.
	// It is removed when there is a state again.
	diskRecovering = "/q"
)

// generation is one of the two places for records. A whole state that comes from
// another replica is written into the one that is not in use, part by part, and
// then taken into use at once.
type generation string

const (
	generationA generation = "/a"
	generationB generation = "/b"
)

func (g generation) other() generation {
	if g == generationA {
		return generationB
	}
	return generationA
}

// diskWrite is one write to come, with its place below the index's.
type diskWrite struct {
	key    string
	full   string // with the index's place, if somebody has made that already
	value  []byte
	delete bool
}

func cutKey(writer uint64) string { return diskCut + fmt.Sprintf("/%016x", writer) }

func (o *stagedIndex) save(key string, value []byte) {
	o.unsaved = append(o.unsaved, diskWrite{key: key, value: ondisk.Seal(string(o.at)+key, value)})
}

func (o *stagedIndex) erase(key string) {
	o.unsaved = append(o.unsaved, diskWrite{key: key, delete: true})
}

func (o *stagedIndex) saveRecord(g generation, key string, list []*element) {
	o.unsaved = append(o.unsaved, o.recordWrite(g, key, list))
}

func (o *stagedIndex) recordWrite(g generation, key string, list []*element) diskWrite {
	at := diskKeys + string(g) + key
	if len(list) == 0 {
		return diskWrite{key: at, delete: true}
	}
	return diskWrite{key: at, value: ondisk.Seal(string(o.at)+at, encodeRecord(list))}
}

// commit writes the operations to the disk, as one batch. Writes that the disk refuses stay for the
// next commit: memory is ahead of the disk then, but the disk never has half an operation.
func (o *stagedIndex) commit() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.unsaved) == 0 {
		return nil
	}
	return o.commitState()
}

// commitState is commit also if there is nothing else to write.
func (o *stagedIndex) commitState() error {
	n := len(o.unsaved)
	if o.recovering {
		o.erase(diskRecovering)
	}
	o.save(diskState, o.state().encode())
	if err := o.write(o.unsaved); err != nil {
		o.unsaved = o.unsaved[:n]
		return err
	}
	o.recovering = false
	clear(o.unsaved)
	o.unsaved = o.unsaved[:0]
	return nil
}

// write makes writes one batch of the disk.
func (o *stagedIndex) write(writes []diskWrite) error {
	ctx := context.Background()
	batch, err := o.disk.Batch(ctx)
	if err != nil {
		return fmt.Errorf("storage: save replica: %w", err)
	}
	for _, w := range writes {
		full := w.full
		if full == "" {
			full = string(o.at) + w.key
		}
		key := datastore.RawKey(full)
		if w.delete {
			err = batch.Delete(ctx, key)
		} else {
			err = batch.Put(ctx, key, w.value)
		}
		if err != nil {
			return fmt.Errorf("storage: save replica: %w", err)
		}
	}
	if err := batch.Commit(ctx); err != nil {
		return fmt.Errorf("storage: save replica: %w", err)
	}
	return nil
}

// diskSums are the expected numbers and sums of the records on the disk. They are part of each
// batch, so a record that was lost, or was not deleted, is noticed.
type diskSums struct {
	gen                         generation
	elements, heads, tail, cuts count
}

// count is a number of things and the sum of their hashes.
type count struct{ n, sum uint64 }

func (c *count) add(hash uint64) {
	c.n++
	c.sum += hash
}

func (o *stagedIndex) state() diskSums {
	s := diskSums{
		gen:      o.gen,
		elements: count{uint64(o.elements.Len()), o.sum},
		tail:     count{uint64(o.tail.len), o.tail.sum},
		cuts:     count{uint64(len(o.tail.cut.last)), o.tail.cut.sum},
	}
	for _, h := range o.heads {
		s.heads.add(h.hash)
	}
	return s
}

func (s diskSums) encode() []byte {
	raw := appendBytes(nil, string(s.gen))
	for _, c := range []count{s.elements, s.heads, s.tail, s.cuts} {
		raw = binary.LittleEndian.AppendUint64(binary.AppendUvarint(raw, c.n), c.sum)
	}
	return raw
}

func decodeSums(raw []byte) (s diskSums, err error) {
	gen, raw, err := cutBytes(raw)
	s.gen = generation(gen)
	if err != nil || s.gen != generationA && s.gen != generationB {
		return s, fmt.Errorf("%w: state", storage.ErrCorrupt)
	}
	for _, c := range []*count{&s.elements, &s.heads, &s.tail, &s.cuts} {
		if c.n, raw, err = cutUvarint(raw); err != nil || len(raw) < 8 {
			return s, fmt.Errorf("%w: state", storage.ErrCorrupt)
		}
		c.sum, raw = binary.LittleEndian.Uint64(raw), raw[8:]
	}
	return s, nil
}
