package memdisk

import (
	"errors"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/stretchr/testify/require"
)

// What would survive is listed in the order of keys, also what was overwritten or deleted
// since and not flushed.
func TestWhatIsDurableIsInOrder(t *testing.T) {
	for name, change := range map[string]func(d *Disk){
		"nothing":   func(*Disk) {},
		"the last":  func(d *Disk) { _ = d.Put(ctx, datastore.NewKey("/k/c"), []byte("2")) },
		"the first": func(d *Disk) { _ = d.Delete(ctx, datastore.NewKey("/k/a")) },
		"two": func(d *Disk) {
			_ = d.Delete(ctx, datastore.NewKey("/k/c"))
			_ = d.Put(ctx, datastore.NewKey("/k/b"), nil)
		},
		"one that is new": func(d *Disk) { _ = d.Put(ctx, datastore.NewKey("/k/aa"), []byte("2")) },
	} {
		d := New()
		for _, k := range []string{"/k/a", "/k/b", "/k/c", "/l"} {
			require.NoError(t, d.Put(ctx, datastore.NewKey(k), []byte("1")))
		}
		d.Flush(func(err error) { require.NoError(t, err) })
		change(d)
		var keys []string
		d.DurableBelow("/k/", func(key string, value []byte) bool {
			require.Equal(t, []byte("1"), value, name)
			keys = append(keys, key)
			return true
		})
		require.Equal(t, []string{"/k/a", "/k/b", "/k/c"}, keys, name)
	}
}

// A query that a fault refuses has no results.
func TestARefusedQuery(t *testing.T) {
	d := New()
	refused := errors.New("refused")
	d.SetFaults(Faults{Fail: func(op Op, _ string) error {
		if op == OpQuery {
			return refused
		}
		return nil
	}})
	results, err := d.Query(ctx, query.Query{Prefix: "/k"})
	require.ErrorIs(t, err, refused)
	require.Nil(t, results)
}
