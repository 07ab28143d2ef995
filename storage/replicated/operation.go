package replicated

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/taucloud/tau/storage"
)

// operation holds the staged changes of one operation: deltas that go-ds-crdt processes, and the
// results.
type operation struct {
	deltas    []*delta
	byID      map[string]*delta
	known     map[string]bool // ids of parents that the index includes
	processed map[string]bool // ids of deltas that go-ds-crdt is done with
	cells     map[string]*cell
	heads     map[string]*head // by id; nil: no longer a head
	comparing string           // the key of which elements are compared
	made      *delta           // by go-ds-crdt
}

// cell is an operation's staged state of a key.
type cell struct {
	before []*element
	list   []*element
	// The value as go-ds-crdt has written it, and its height.
	value    []byte
	priority []byte
	// from is the merge that list was taken over from, if it was.
	from *merged
}

// begin starts an operation.
func (o *stagedIndex) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.op = &operation{
		byID:      map[string]*delta{},
		known:     map[string]bool{},
		processed: map[string]bool{},
		cells:     map[string]*cell{},
		heads:     map[string]*head{},
	}
}

// abort ends an operation that has changed nothing.
func (o *stagedIndex) abort() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.op = nil
}

// bring makes a delta part of the operation. Its parents are in the context, which was checked,
// also those of which nothing else is known.
func (o *stagedIndex) bring(d *delta) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.op.bring(d)
}

func (op *operation) bring(d *delta) {
	op.deltas = append(op.deltas, d)
	op.byID[d.id] = d
	for _, id := range d.linkIDs {
		if op.byID[id] == nil {
			op.known[id] = true
		}
	}
}

// made is bring for the delta that go-ds-crdt makes of a write.
func (o *stagedIndex) made(d *delta) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.op == nil || o.op.made != nil {
		return fmt.Errorf("storage: delta %s belongs to no operation", d.cid)
	}
	o.op.made = d
	o.op.bring(d)
	return nil
}

// delta returns a delta of the operation.
func (o *stagedIndex) delta(id string) *delta {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.op == nil {
		return nil
	}
	return o.op.byID[id]
}

// compared returns the element that a delta set, of the key whose elements
// go-ds-crdt compares.
func (o *stagedIndex) compared(id string) *element {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.op == nil || o.op.comparing == "" {
		return nil
	}
	for _, e := range o.cell(o.op.comparing).list {
		if e.id == id {
			return e
		}
	}
	return nil
}

// cell is the cell of a key; between operations it is one that nobody keeps.
func (o *stagedIndex) cell(key string) *cell {
	if o.op != nil {
		if c := o.op.cells[key]; c != nil {
			return c
		}
	}
	list := o.record(key)
	c := &cell{before: list, list: slices.Clone(list)}
	if best := winner(list); best != nil {
		c.value, c.priority = best.value, priorityOf(best)
	}
	if o.op != nil {
		o.op.cells[strings.Clone(key)] = c
	}
	return c
}

// priorityOf is go-ds-crdt's encoding of a height.
func priorityOf(e *element) []byte { return binary.AppendUvarint(nil, e.height+1) }

func (c *cell) get(e entry) (value []byte, found bool) {
	switch e.part {
	case partValue:
		return c.value, c.value != nil
	case partPriority:
		return c.priority, c.priority != nil
	case partElement:
		return nil, slices.ContainsFunc(c.list, func(x *element) bool { return x.id == e.id })
	}
	return nil, false // tombstones are not kept
}

// insert adds an element in its place.
func (c *cell) insert(e *element) {
	at, found := slices.BinarySearchFunc(c.list, e, compareElements)
	if !found {
		c.list = slices.Insert(c.list, at, e)
	}
}

func (c *cell) remove(id string) {
	c.list = slices.DeleteFunc(c.list, func(e *element) bool { return e.id == id })
}

// errMergeDiffers says that go-ds-crdt chose another value than follows from
// the elements that it left.
var errMergeDiffers = errors.New("storage: the merge differs from its elements")

func (c *cell) check() error {
	best := winner(c.list)
	switch {
	case best == nil && c.value == nil && c.priority == nil:
		return nil
	case best == nil || !bytes.Equal(best.value, c.value) || !bytes.Equal(priorityOf(best), c.priority):
		return errMergeDiffers
	}
	return nil
}

// finish applies the operation to the index. It fails, and changes nothing, if go-ds-crdt has not
// done all that it should.
func (o *stagedIndex) finish() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	op := o.op
	o.op = nil
	if err := op.check(); err != nil {
		return err
	}
	for _, key := range slices.SortedFunc(maps.Keys(op.cells), storage.CompareKeys) {
		if c := op.cells[key]; !slices.Equal(c.before, c.list) {
			o.setRecord(key, c.before, c.list, c.from)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(op.heads)) {
		if h := op.heads[id]; h != nil {
			o.setHead(h)
		} else {
			o.dropHead(id)
		}
	}
	for _, d := range op.deltas {
		o.include(d)
	}
	return nil
}

// include makes a delta, of which all else is done, part of the context and the tail.
func (o *stagedIndex) include(d *delta) {
	o.vector.add(d.dot)
	o.tail.add(d.stub)
	o.unsaved = append(o.unsaved, d.saved.of(o.at, "", func() diskWrite { return diskWrite{key: diskDeltas + d.id, value: d.raw} }))
}

func (op *operation) check() error {
	for _, d := range op.deltas {
		if !op.processed[d.id] {
			return fmt.Errorf("storage: delta %s was not processed", d.cid)
		}
	}
	for key, c := range op.cells {
		if err := c.check(); err != nil {
			return fmt.Errorf("%w: %s", err, key)
		}
	}
	return nil
}
