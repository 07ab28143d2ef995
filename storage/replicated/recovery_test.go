package replicated

import (
	"context"
	"fmt"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/ondisk"
	"github.com/taucloud/tau/storage/memdisk"
)

// diskKeysOf are the keys of all that a replica has on its disk.
func diskKeysOf(t require.TestingT, disk storage.Disk) (keys []storage.Key) {
	require.NoError(t, ondisk.Scan(disk, storage.K("kv", "test"), func(k storage.Key, _ []byte) error {
		keys = append(keys, k)
		return nil
	}))
	return keys
}

// damages are what can become of a record: another value, none, or that of
// another key.
var damages = map[string]func(t require.TestingT, disk *memdisk.Disk, k storage.Key, all []storage.Key){
	"flipped": func(t require.TestingT, disk *memdisk.Disk, k storage.Key, _ []storage.Key) {
		require.NoError(t, disk.Put(context.Background(), datastore.RawKey(string(k)), []byte("damaged")))
	},
	"missing": func(t require.TestingT, disk *memdisk.Disk, k storage.Key, _ []storage.Key) {
		require.NoError(t, disk.Delete(context.Background(), datastore.RawKey(string(k))))
	},
	"misdirected": func(t require.TestingT, disk *memdisk.Disk, k storage.Key, all []storage.Key) {
		from := all[0]
		if k == from {
			from = all[1]
		}
		raw, err := disk.Get(context.Background(), datastore.RawKey(string(from)))
		if err != nil {
			raw = nil // that one is gone
		}
		require.NoError(t, disk.Put(context.Background(), datastore.RawKey(string(k)), raw))
	},
}

// TestEveryDamageIsFoundAndMended damages every single thing on the disk, in
// every way, alone and with others to help.
func TestEveryDamageIsFoundAndMended(t *testing.T) {
	disk := memdisk.New()
	source := newReplica(t, disk)
	defer source.close()
	for i := range 6 {
		_, err := source.commit(put(storage.K("k", fmt.Sprint(i/2)), fmt.Sprint(i)))
		require.NoError(t, err)
	}
	_, err := source.commit(writesOf(storage.Write{Key: storage.K("k", "0"), Delete: true}))
	require.NoError(t, err)
	source.index.prune(4, 1<<20)
	require.NoError(t, source.save())
	whole := source.contents()
	keys := diskKeysOf(t, disk)
	require.Greater(t, len(keys), 8)
	for how, damage := range damages {
		for _, k := range keys {
			name := fmt.Sprintf("%s %s", how, k)
			damaged := disk.Clone()
			damage(t, damaged, k, keys)
			alone := newReplica(t, damaged.Clone())
			require.True(t, alone.isEmpty(), "it does not know what it knew: %s", name)
			require.NoError(t, alone.restore(noPause))
			require.Equal(t, whole, alone.contents(), "nothing is lost though nobody else has it: %s", name)
			stillOnDisk(t, alone, alone.index.disk.(*memdisk.Disk))
			alone.close()

			r := newReplica(t, damaged)
			r.pullFrom(t, source, 1<<20)
			require.NoError(t, r.restore(noPause))
			require.Equal(t, whole, r.contents(), name)
			require.Equal(t, source.headIDs(), r.headIDs(), "nothing was written again: %s", name)
			require.Equal(t, source.index.sum, r.index.sum, name)
			stillOnDisk(t, r, damaged)
			r.close()
		}
	}
}

// TestSalvageSurvivesCrashes loses power at each write of a recovery.
func TestSalvageSurvivesCrashes(t *testing.T) {
	disk := memdisk.New()
	source := newReplica(t, disk)
	for i := range 6 {
		_, err := source.commit(put(storage.K("k", fmt.Sprint(i/2)), fmt.Sprint(i)))
		require.NoError(t, err)
	}
	whole := source.contents()
	source.close()
	damages["missing"](t, disk, storage.K("kv", "test")+diskKeys+"/a"+storage.K("k", "1"), nil)
	disk.Flush(func(error) {})
	for keep := 0; ; keep++ {
		d := disk.Clone()
		r := newReplica(t, d)
		require.NoError(t, r.restore(noPause))
		r.close()
		writes := d.Unsynced()
		require.Greater(t, writes, 3)
		d = d.Crash(keep, true)
		r = newReplica(t, d)
		require.NoError(t, r.restore(noPause))
		require.Equal(t, whole, r.contents(), "after %d writes", keep)
		stillOnDisk(t, r, d)
		r.close()
		if keep > writes {
			break
		}
	}
}

// TestSalvageIsWhole damages several things at once, where nobody else has a
// copy: what is left of a batch is all of it, or nothing.
func TestSalvageIsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := memdisk.New()
		source := newReplica(t, disk)
		defer source.close()
		batches := rapid.IntRange(1, 8).Draw(t, "batches")
		for i := range batches {
			writes := map[storage.Key]storage.Write{}
			for j := range 3 {
				k := storage.K("batch", fmt.Sprint(i), fmt.Sprint(j))
				writes[k] = storage.Write{Key: k, Value: fmt.Append(nil, i)}
			}
			_, err := source.commit(writes)
			require.NoError(t, err)
		}
		source.index.prune(rapid.IntRange(0, batches).Draw(t, "tail"), 1<<20)
		require.NoError(t, source.save())
		keys := diskKeysOf(t, disk)
		damaged := disk.Clone()
		rotten := rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 1, 5, rapid.ID).Draw(t, "rotten")
		for _, k := range rotten {
			damages[rapid.SampledFrom([]string{"flipped", "missing", "misdirected"}).Draw(t, "how")](t, damaged, k, keys)
		}
		r := newReplica(t, damaged)
		defer r.close()
		require.NoError(t, r.restore(noPause))
		whole := r.contents()
		for i := range batches {
			found := 0
			for j := range 3 {
				if whole[storage.K("batch", fmt.Sprint(i), fmt.Sprint(j))] == fmt.Sprint(i) {
					found++
				}
			}
			require.Contains(t, []int{0, 3}, found, "batch %d", i)
		}
	})
}

// TestSalvageDoesNotBringBack what others have deleted while a replica was down.
func TestSalvageDoesNotBringBack(t *testing.T) {
	disk, other := memdisk.New(), newReplica(t, memdisk.New())
	defer other.close()
	source := newReplica(t, disk)
	for i := range 3 {
		_, err := source.commit(put(storage.K("k", fmt.Sprint(i)), "v"))
		require.NoError(t, err)
	}
	other.pullFrom(t, source, 1<<20)
	_, err := source.commit(put(storage.K("k", "own"), "nobody has seen it"))
	require.NoError(t, err)
	source.close()
	_, err = other.commit(writesOf(storage.Write{Key: storage.K("k", "1"), Delete: true}, storage.Write{Key: storage.K("k", "2"), Delete: true}))
	require.NoError(t, err)
	for how, damage := range damages {
		keys := diskKeysOf(t, disk)
		for _, k := range keys {
			damaged := disk.Clone()
			damage(t, damaged, k, keys)
			r := newReplica(t, damaged)
			r.pullFrom(t, other, 1<<20)
			require.NoError(t, r.restore(noPause))
			require.Equal(t, map[storage.Key]string{storage.K("k", "0"): "v", storage.K("k", "own"): "nobody has seen it"}, r.contents(), "%s %s", how, k)
			r.close()
		}
	}
}

// TestDamagedBlocksAreNotServed: a replica whose index is whole goes on without
// the deltas that are not.
func TestDamagedBlocksAreNotServed(t *testing.T) {
	disk := memdisk.New()
	r := newReplica(t, disk)
	defer r.close()
	value := string(make([]byte, deltaCacheSizeMax)) // so that it comes from the disk
	for i := range 4 {
		_, err := r.commit(put(storage.K("k", fmt.Sprint(i)), value))
		require.NoError(t, err)
	}
	have := newVector()
	have.add(dot{r.writer, 1})
	damaged := r.index.tail.lanes[r.writer][2]
	damages["flipped"](t, disk, storage.K("kv", "test")+diskDeltas+storage.Key(damaged.id), nil)
	_, err := r.missing(have, 1<<20)
	require.ErrorIs(t, err, storage.ErrCorrupt)
	p, err := r.missing(have, 1<<20)
	require.NoError(t, err)
	require.True(t, p.fold)
	require.Equal(t, 1, r.index.tail.len)
	stillOnDisk(t, r, disk)
	other := newReplica(t, memdisk.New())
	defer other.close()
	other.pullFrom(t, r, 1<<20)
	require.Equal(t, r.contents(), other.contents())
}
