package replicated

import (
	"maps"
	"slices"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ordered"
)

// join merges a fold into a replica, which stays in use meanwhile: an element of either stays if
// the other has it too, or does not include its delta in its context. The result is the state after
// processing all deltas of both.
//
// The merged records are written, some at a time, into the generation that is not in use. At the
// end the keys that the replica has changed since are merged again, and one batch switches to the
// new generation.
type join struct {
	replica *replica
	fold    *foldSink
	union   bool // keep all, see replica.mend
	context *vector
	mine    ordered.Snapshot[*element]
	atMine  int
	theirs  []*element // what is left of the fold's
	result  *elementSet
	sum     uint64
	gen     generation
	changed []storage.Key
	written []string // keys in gen
}

// join merges a complete fold. One at a time may be under way.
func (r *replica) join(f *foldSink, union bool, pause yield) error {
	if r.index.vector.covers(f.vector) && !union {
		return nil
	}
	j, err := r.beginJoin(f, union)
	if err != nil {
		return err
	}
	for done := false; !done; {
		if done, err = j.step(readEach); err == nil {
			err = pause()
		}
		if err != nil {
			j.cancel(pause)
			return err
		}
	}
	old, err := j.finish()
	if err != nil {
		j.cancel(pause)
		return err
	}
	r.stop()
	if err := r.save(); err != nil {
		return nil // it is kept, and tried again; the next opening sweeps
	}
	// The next opening sweeps what is left of this.
	_ = r.index.writeParts(old.Len(), pause, func(i int) diskWrite {
		return diskWrite{key: diskKeys + string(j.gen.other()) + old.At(i).key, delete: true}
	})
	return nil
}

func (r *replica) beginJoin(f *foldSink, union bool) (*join, error) {
	o := r.index
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.commitState(); err != nil { // it says that the other generation is not in use
		return nil, err
	}
	o.touched = map[string]bool{}
	return &join{
		replica: r,
		fold:    f,
		union:   union,
		context: o.vector.clone(),
		mine:    o.elements.Freeze(),
		theirs:  f.elements,
		result:  newElementSet(),
		gen:     o.gen.other(),
	}, nil
}

// step merges up to n keys and writes them.
func (j *join) step(n int) (done bool, err error) {
	var writes []diskWrite
	for ; n > 0; n-- {
		key, mine, theirs := j.next()
		if key == "" {
			done = true
			break
		}
		list := j.merge(mine, theirs, j.context)
		if !slices.Equal(list, mine) {
			j.changed = append(j.changed, storage.Key(key))
		}
		if len(list) > 0 {
			for _, e := range list {
				j.result.Append(e)
			}
			j.sum += sumOf(list)
			j.written = append(j.written, key)
			writes = append(writes, j.replica.index.recordWrite(j.gen, key, list))
		}
	}
	if len(writes) > 0 {
		err = j.replica.index.write(writes)
	}
	return done, err
}

// next returns the next key of either side, "" if there is none.
func (j *join) next() (key string, mine, theirs []*element) {
	if j.atMine < j.mine.Len() {
		key = j.mine.At(j.atMine).key
	}
	if len(j.theirs) > 0 && (key == "" || storage.CompareKeys(j.theirs[0].key, key) < 0) {
		key = j.theirs[0].key
	}
	if key == "" {
		return "", nil, nil
	}
	for j.atMine < j.mine.Len() && j.mine.At(j.atMine).key == key {
		mine = append(mine, j.mine.At(j.atMine))
		j.atMine++
	}
	n := 0
	for n < len(j.theirs) && j.theirs[n].key == key {
		n++
	}
	theirs, j.theirs = j.theirs[:n], j.theirs[n:]
	return key, mine, theirs
}

// merge joins the elements of one key, given what the replica has processed.
func (j *join) merge(mine, theirs []*element, context *vector) (list []*element) {
	for _, e := range mine {
		if j.union || !j.fold.vector.has(e.dot) || contains(theirs, e) {
			list = append(list, e)
		}
	}
	for _, e := range theirs {
		if !contains(mine, e) && (j.union || !context.has(e.dot)) {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, compareElements)
	return list
}

func contains(list []*element, e *element) bool {
	return slices.ContainsFunc(list, func(x *element) bool { return x.id == e.id })
}

// finish switches to the merged state in memory and stages its disk batch. It returns the keys of
// the old generation on the disk.
func (j *join) finish() (old ordered.Snapshot[*element], err error) {
	if err := j.replica.index.commit(); err != nil {
		return old, err
	}
	o := j.replica.index
	o.mu.Lock()
	defer o.mu.Unlock()
	j.mergeTouched()
	old = o.elements.Freeze()
	o.elements, o.sum, o.gen, o.touched = j.result, j.sum, j.gen, nil
	o.changed = append(o.changed, j.changed...)
	j.joinHeads()
	o.dropBlocks(o.tail.raise(j.fold.vector))
	o.vector.join(j.fold.vector)
	for _, d := range j.fold.vector.dots() {
		o.saveCut(d)
	}
	return old, nil
}

// mergeTouched merges again what the replica has changed since it was merged.
func (j *join) mergeTouched() {
	o := j.replica.index
	for _, key := range slices.SortedFunc(maps.Keys(o.touched), storage.CompareKeys) {
		at, _ := slices.BinarySearchFunc(j.fold.elements, key, func(e *element, key string) int { return storage.CompareKeys(e.key, key) })
		end := at
		for end < len(j.fold.elements) && j.fold.elements[end].key == key {
			end++
		}
		mine := o.record(key)
		list := j.merge(mine, j.fold.elements[at:end], o.vector)
		was := j.result.record(key)
		for _, e := range was {
			j.result.Delete(e)
		}
		for _, e := range list {
			j.result.Insert(e)
		}
		j.sum += sumOf(list) - sumOf(was)
		o.saveRecord(j.gen, key, list)
		if !slices.Equal(mine, list) {
			j.changed = append(j.changed, storage.Key(key))
		}
	}
}

// joinHeads merges the heads in the same way: a delta removes a head by linking to it.
func (j *join) joinHeads() {
	o := j.replica.index
	theirs := map[string]bool{}
	for _, h := range j.fold.heads {
		theirs[h.id] = true
	}
	for _, id := range slices.Sorted(maps.Keys(o.heads)) {
		if !theirs[id] && j.fold.vector.has(o.heads[id].dot) {
			o.dropHead(id)
		}
	}
	for _, h := range j.fold.heads {
		if !o.vector.has(h.dot) {
			o.setHead(h)
		}
	}
}

// cancel abandons an unfinished join.
func (j *join) cancel(pause yield) {
	o := j.replica.index
	o.mu.Lock()
	o.touched = nil
	o.mu.Unlock()
	keys := make([]string, len(j.written))
	for i, key := range j.written {
		keys[i] = diskKeys + string(j.gen) + key
	}
	_ = o.sweep(keys, pause) // what is left the next opening sweeps
}
