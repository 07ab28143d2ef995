package replicated

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
)

// beginRecovery empties a damaged disk. The sound elements are kept apart, in
// r.recovered and on the disk, until restore has written them again. It may be
// repeated after a crash at any point: once diskRecovering is there, the recovered
// elements are complete and everything else is garbage.
func (r *replica) beginRecovery(f *found, pause yield) error {
	o := r.index
	r.recovered = f.recovered
	if !f.recovering {
		r.recovered = f.sound()
		if err := o.writeParts(len(r.recovered), pause, func(i int) diskWrite {
			at := diskRecovered + r.recovered[i][0].key
			return diskWrite{key: at, value: ondisk.Seal(string(o.at)+at, encodeRecord(r.recovered[i]))}
		}); err != nil {
			return err
		}
		if err := o.write([]diskWrite{{key: diskRecovering, value: ondisk.Seal(string(o.at)+diskRecovering, nil)}}); err != nil {
			return err
		}
	}
	o.recovering = true
	kept := map[string]bool{diskRecovering: true}
	for _, record := range r.recovered {
		kept[diskRecovered+record[0].key] = true
	}
	return o.clear(kept, pause)
}

// writeParts writes n things, some hundred of them at once.
func (o *stagedIndex) writeParts(n int, pause yield, at func(i int) diskWrite) error {
	var part []diskWrite
	for i := range n {
		part = append(part, at(i))
		if len(part) < readEach && i < n-1 {
			continue
		}
		if err := o.write(part); err != nil {
			return err
		}
		part = part[:0]
		if err := pause(); err != nil {
			return err
		}
	}
	return nil
}

// clear removes everything but what is kept.
func (o *stagedIndex) clear(kept map[string]bool, pause yield) error {
	var keys []string
	err := ondisk.Scan(o.disk, o.at, func(k storage.Key, _ []byte) error {
		if key := string(k[len(o.at):]); !kept[key] {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("storage: clear replica: %w", err)
	}
	return o.sweep(keys, pause)
}

// sweep removes keys from the disk.
func (o *stagedIndex) sweep(keys []string, pause yield) error {
	return o.writeParts(len(keys), pause, func(i int) diskWrite { return diskWrite{key: keys[i], delete: true} })
}

// stale are the records of the generation that is not in use.
func (f *found) stale() (keys []string) {
	for _, list := range f.records[f.sums.gen.other()] {
		keys = append(keys, diskKeys+string(f.sums.gen.other())+list[0].key)
	}
	return keys
}

// sound is the intact contents of a damaged replica, by key. The elements of one delta are
// recovered together or not at all: if unknown records are missing, an element whose delta set
// other keys too is left out, unless all of them or the delta itself are intact.
func (f *found) sound() [][]*element {
	known := map[*element]bool{}
	for _, lists := range [][][]*element{f.records[generationA], f.records[generationB], f.recovered} {
		for _, list := range lists {
			for _, e := range list {
				known[e] = true
			}
		}
	}
	exact := f.exact(known)
	whole := map[string]bool{} // ids of deltas of which all is known
	if !exact {
		f.takeDeltas(known, whole)
	}
	of := map[string]uint32{}
	for e := range known {
		of[e.id]++
	}
	byKey := map[string][]*element{}
	for e := range known {
		if exact || whole[e.id] || of[e.id] == e.of {
			byKey[e.key] = append(byKey[e.key], e)
		}
	}
	list := make([][]*element, 0, len(byKey))
	for _, key := range slices.SortedFunc(maps.Keys(byKey), storage.CompareKeys) {
		slices.SortFunc(byKey[key], compareElements)
		list = append(list, byKey[key])
	}
	return list
}

// exact reports whether no element is missing.
func (f *found) exact(known map[*element]bool) bool {
	var c count
	for e := range known {
		c.add(e.hash)
	}
	return f.known && c == f.sums.elements
}

// takeDeltas adds the elements that the intact deltas set and did not delete, for keys without an
// intact record. The deletion of an uncut delta's element is in an uncut delta too.
func (f *found) takeDeltas(known map[*element]bool, whole map[string]bool) {
	present := map[string]bool{}
	for e := range known {
		present[e.key] = true
	}
	dead := map[string]bool{}
	for _, d := range f.deltas {
		whole[d.id] = true
		content, err := contentOf(d.node)
		if err != nil {
			continue // it was decoded before
		}
		for _, t := range content.GetTombstones() {
			dead[t.GetKey()+t.GetId()] = true
		}
	}
	for _, d := range f.deltas {
		for _, e := range d.elements {
			if !present[e.key] && !dead[e.key+e.id] {
				known[e] = true
			}
		}
	}
}

// restoreSize is how much is written again at once, in bytes: more only if one
// delta set it together. It is small as each is a turn.
const restoreSize = 64 << 10

// restore writes again, in the order of history, the recovered elements that no other replica has:
// elements that the others have seen and do not hold were deleted, and their values of a key win.
// The elements of one delta are written together.
func (r *replica) restore(pause yield) error {
	var list []*element
	for _, record := range r.recovered {
		if _, present := r.index.value(storage.Key(record[0].key)); !present {
			if e := winner(record); !r.has(e.dot) {
				list = append(list, e)
			}
		}
	}
	slices.SortFunc(list, func(a, b *element) int {
		return cmp.Or(cmp.Compare(a.height, b.height), strings.Compare(a.id, b.id), storage.CompareKeys(a.key, b.key))
	})
	part, size := map[storage.Key]storage.Write{}, 0
	for i, e := range list {
		part[storage.Key(e.key)] = storage.Write{Value: e.value[len(valueTag):]}
		size += len(e.key) + len(e.value) + writeOverhead
		last := i == len(list)-1
		if ends := last || list[i+1].id != e.id; !ends || size < restoreSize && !last {
			continue
		}
		for _, k := range slices.SortedFunc(maps.Keys(part), storage.Key.Compare) {
			r.index.erase(diskRecovered + string(k)) // in the same batch
		}
		if _, err := r.commit(part); err != nil {
			return err
		}
		part, size = map[storage.Key]storage.Write{}, 0
		if err := pause(); err != nil {
			return err
		}
	}
	if err := r.save(); err != nil {
		return err
	}
	keys := make([]string, len(r.recovered))
	for i, record := range r.recovered {
		keys[i] = diskRecovered + record[0].key
	}
	r.recovered = nil
	return r.index.sweep(keys, pause)
}
