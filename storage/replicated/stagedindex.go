package replicated

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
)

// stagedIndex is the datastore that go-ds-crdt works on. It holds the whole index
// in memory, so reads do not touch the disk; an entry costs a pointer, and the
// element that it points to is shared with the other replicas of the process.
//
// The writes of an operation are staged. They become part of the index, and one batch of the disk,
// as a whole or not at all: no crash and no failure leaves half an operation.
//
// Our replicas process every delta once and after all its ancestors, so neither
// a superseded element nor its tombstone is looked at again: both are dropped.
// The vector keeps an old delta from being processed twice.
//
// The lock is for go-ds-crdt's own goroutines, of which one takes statistics
// now and then; otherwise only one goroutine at a time works on an index.
type stagedIndex struct {
	disk storage.Disk
	at   storage.Key

	mu       sync.Mutex
	elements *elementSet
	sum      uint64           // of the elements
	heads    map[string]*head // by id
	vector   *vector
	tail     *tail
	rest     map[string][]byte // go-ds-crdt's marks about itself, in memory only
	op       *operation        // nil between operations

	gen        generation
	recovering bool // the disk has diskRecovering
	unsaved    []diskWrite
	changed    []storage.Key // since takeChanged
	// touched, if it is not nil, collects the keys that operations change.
	touched map[string]bool
}

// head is a delta that no other links to. Its block may be gone.
type head struct {
	cid    storage.CID
	id     string
	dot    dot
	height uint64
	hash   uint64 // of all that
	saved  shared
}

func newHead(c storage.CID, id string, d dot, height uint64) *head {
	h := &head{cid: c, id: id, dot: d, height: height}
	h.hash = xxhash.Sum64(h.encode())
	return h
}

func (h *head) encode() []byte {
	return binary.AppendUvarint(appendDot(appendBytes(nil, h.id), h.dot), h.height)
}

// cutHead is the inverse of encode, for bytes of any origin.
func cutHead(raw []byte) (h *head, rest []byte, err error) {
	id, rest, err := cutBytes(raw)
	if err != nil || !isDeltaID(string(id)) {
		return nil, nil, errBadHead
	}
	h = &head{id: string(id)}
	if h.cid, err = cidOf(h.id); err != nil || deltaID(h.cid) != h.id {
		return nil, nil, errBadHead
	}
	if h.dot, rest, err = cutDot(rest); err != nil {
		return nil, nil, err
	}
	if h.height, rest, err = cutUvarint(rest); err != nil || h.height == 0 || h.height > heightMax {
		return nil, nil, errBadHead
	}
	return newHead(h.cid, h.id, h.dot, h.height), rest, nil
}

func newStagedIndex(disk storage.Disk, at storage.Key) *stagedIndex {
	return &stagedIndex{
		disk:     disk,
		at:       at,
		elements: newElementSet(),
		heads:    map[string]*head{},
		vector:   newVector(),
		tail:     newTail(),
		rest:     map[string][]byte{crdtVersion: {2}},
		gen:      generationA,
	}
}

var errBadHead = fmt.Errorf("%w: head", storage.ErrCorrupt)

// record returns the elements of a key, in order.
func (o *stagedIndex) record(key string) []*element { return o.elements.record(key) }

// value returns the value of a key.
func (o *stagedIndex) value(k storage.Key) ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := winner(o.record(string(k))); e != nil {
		return e.value, true
	}
	return nil, false
}

// present reports whether a key has a value, also within an operation.
func (o *stagedIndex) present(k storage.Key) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.cell(string(k)).list) > 0
}

// list calls f for the keys below prefix that have a value, in order. f must
// not call the index.
func (o *stagedIndex) list(prefix storage.Key, f func(k storage.Key, value []byte)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if prefix == "/" {
		prefix = ""
	}
	var best *element
	tell := func() {
		if best != nil {
			f(storage.Key(best.key), best.value)
		}
	}
	o.elements.From(func(e *element) bool { return storage.CompareKeys(e.key, string(prefix)) < 0 }, func(e *element) bool {
		if !storage.Key(e.key).Has(prefix) {
			return false
		}
		if best != nil && best.key == e.key {
			best = winner([]*element{best, e})
			return true
		}
		tell()
		best = e
		return true
	})
	tell()
}

// headList are the heads, in go-ds-crdt's order.
func (o *stagedIndex) headList() []*head {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.SortedFunc(maps.Values(o.heads), func(a, b *head) int { return storage.CompareCIDs(a.cid, b.cid) })
}

// takeChanged returns the user's keys that were written since it was last
// called, some perhaps more than once.
func (o *stagedIndex) takeChanged() []storage.Key {
	o.mu.Lock()
	defer o.mu.Unlock()
	changed := o.changed
	o.changed = nil
	return changed
}

// setRecord replaces the elements of a key; from is the merge that they were taken
// over from, if they were.
func (o *stagedIndex) setRecord(key string, old, list []*element, from *merged) {
	for _, e := range old {
		if !slices.Contains(list, e) {
			o.elements.Delete(e)
		}
	}
	for _, e := range list {
		if !slices.Contains(old, e) {
			o.elements.Insert(e)
		}
	}
	o.sum += sumOf(list) - sumOf(old)
	o.changed = append(o.changed, storage.Key(key))
	if o.touched != nil {
		o.touched[key] = true
	}
	if from == nil {
		o.saveRecord(o.gen, key, list)
		return
	}
	o.unsaved = append(o.unsaved, from.record.of(o.at, o.gen, func() diskWrite { return o.recordWrite(o.gen, key, list) }))
}

// setHead adds a head.
func (o *stagedIndex) setHead(h *head) {
	o.heads[h.id] = h
	o.unsaved = append(o.unsaved, h.saved.of(o.at, "", func() diskWrite {
		at := diskHeads + h.id
		return diskWrite{key: at, value: ondisk.Seal(string(o.at)+at, h.encode())}
	}))
}

func (o *stagedIndex) dropHead(id string) {
	if _, found := o.heads[id]; found {
		delete(o.heads, id)
		o.erase(diskHeads + id)
	}
}

// prune cuts the tail to its bounds and reports whether that did anything.
func (o *stagedIndex) prune(lenMax, bytesMax int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropBlocks(o.tail.prune(lenMax, bytesMax))
}

// raiseCut drops the blocks of all deltas that context includes.
func (o *stagedIndex) raiseCut(context *vector) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.tail.cut.sum
	cut := o.tail.raise(context)
	for _, d := range context.dots() {
		o.saveCut(d)
	}
	return o.dropBlocks(cut) || o.tail.cut.sum != before
}

// dropBlocks applies a cut of the tail to the disk.
func (o *stagedIndex) dropBlocks(cut []*stub) bool {
	writers := newVector()
	for _, s := range cut {
		o.erase(diskDeltas + s.id)
		writers.add(s.dot)
	}
	for _, d := range writers.dots() {
		o.saveCut(d)
	}
	return len(cut) > 0
}

func (o *stagedIndex) saveCut(d dot) {
	o.save(cutKey(d.writer), binary.AppendUvarint(nil, o.tail.cut.last[d.writer]))
}
