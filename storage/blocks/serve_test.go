package blocks

import (
	"context"
	"fmt"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/brittledisk"
	"github.com/taucloud/tau/storage/internal/clustertest"
	"github.com/taucloud/tau/storage/internal/ondisk"
	"github.com/taucloud/tau/storage/internal/pacing"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
)

// TestWhatIsServed: blocks in the order of the request as long as they fit, the
// first one from an offset on and perhaps in part.
func TestWhatIsServed(t *testing.T) {
	small, other, big := leafOf(bytesOf(100)), leafOf(bytesOf(200)), leafOf(bytesOf(pacing.Max+1000))
	lost := leafOf("lost")
	for name, row := range map[string]struct {
		blocks       []block
		offset, size int
		items        []int // lengths, -1 for what is not found
	}{
		"nothing":               {nil, 0, 1000, nil},
		"all":                   {[]block{small, other, small}, 0, 400, []int{100, 200, 100}},
		"what fits":             {[]block{small, other, small}, 0, 399, []int{100, 200}},
		"not the second":        {[]block{small, other}, 0, 299, []int{100}},
		"a part":                {[]block{small, other}, 0, 99, []int{99}},
		"all of the first":      {[]block{small, lost}, 0, 100, []int{100, -1}},
		"the rest of it":        {[]block{small, other}, 40, 260, []int{60, 200}},
		"a part of the rest":    {[]block{small, other}, 40, 59, []int{59}},
		"nothing of the rest":   {[]block{small, other}, 100, 200, []int{0, 200}},
		"beyond it":             {[]block{small, other}, 101, 200, []int{0, 200}},
		"before it":             {[]block{small, other}, -1, 300, []int{100, 200}},
		"lost ones":             {[]block{lost, small, lost, other}, 7, 300, []int{-1, 100, -1, 200}},
		"a byte at least":       {[]block{small, other}, 3, 0, []int{1}},
		"a byte, even of minus": {[]block{small, other}, 3, -7, []int{1}},
		"as much as anybody":    {[]block{big}, 0, 10 << 20, []int{pacing.Max}},
		"the end":               {[]block{big, small}, pacing.Max, 10 << 20, []int{1000, 100}},
	} {
		b := serving(t, small, other, big)
		request := getRequest{CIDs: encodeCIDs(cidsOf(row.blocks)), Offset: row.offset, SizeMax: row.size}
		response, err := b.onGet(t.Context(), transport.Peer{}, request)
		require.NoError(t, err, name)
		require.Len(t, response.Items, len(row.items), name)
		for i, want := range row.items {
			item, whole := response.Items[i], row.blocks[i].raw
			from := 0
			if i == 0 {
				from = min(max(0, row.offset), len(whole))
			}
			if want < 0 {
				require.Equal(t, getItem{}, item, name)
			} else {
				require.Equal(t, getItem{Found: true, Raw: whole[from : from+want], Size: len(whole)}, item, name)
			}
		}
	}
}

// serving is a node's blocks that are on its disk.
func serving(t *testing.T, list ...block) *Store {
	store, err := openBlockStore(memdisk.New())
	require.NoError(t, err)
	require.NoError(t, store.put(list))
	return &Store{blocks{store: store}}
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	b := serving(t, leafOf("x"))
	names := make([][]byte, getLenMax+1)
	for i := range names {
		names[i] = leafOf("x").cid.Bytes()
	}
	response, err := b.onGet(t.Context(), transport.Peer{}, getRequest{CIDs: names[1:], SizeMax: 1000})
	require.NoError(t, err)
	require.Len(t, response.Items, getLenMax)
	for name, names := range map[string][][]byte{
		"too many": names, "no name": {{}}, "no CID": {{1, 2}}, "another kind": {cid.NewCidV0(leafOf("x").cid.Hash()).Bytes()},
	} {
		_, err := b.onGet(t.Context(), transport.Peer{}, getRequest{CIDs: names, SizeMax: 1000})
		require.Equal(t, transport.Invalid, transport.KindOf(err), "%s: %v", name, err)
	}
}

// TestBigBlocksAreReadOnce while they are served in parts: the last four of them.
func TestBigBlocksAreReadOnce(t *testing.T) {
	var list []block
	for i := range servedMax + 1 {
		list = append(list, leafOf(fmt.Sprint(i)+bytesOf(pacing.First)))
	}
	small := leafOf(bytesOf(pacing.First))
	disk := &brittledisk.Disk{Disk: memdisk.New(), FailAt: 1 << 30}
	store, err := openBlockStore(disk)
	require.NoError(t, err)
	require.NoError(t, store.put(append(list, small)))
	var s servedBlocks
	reads := func(b block) int {
		before := disk.Count
		raw, err := s.read(store, b.cid)
		require.NoError(t, err)
		require.Equal(t, b.raw, raw)
		return disk.Count - before
	}
	for _, b := range append(list, small) {
		require.Equal(t, 1, reads(b))
	}
	require.Equal(t, 1, reads(small), "it is not served in parts")
	require.Len(t, s, servedMax)
	for _, b := range list[1:] {
		require.Zero(t, reads(b))
	}
	require.Equal(t, 1, reads(list[0]), "the oldest has gone")
	require.Equal(t, 1, reads(list[1]))
	require.Zero(t, reads(list[4]))
	disk.FailAt, disk.Times = disk.Count, ondisk.ReadingsMax
	_, err = s.read(store, list[2].cid)
	require.ErrorIs(t, err, brittledisk.ErrBroken)
	require.Len(t, s, servedMax)
}

// TestBlocksOnABrittleDiskSayWhatTheyCannot: each method that reads or writes.
func TestBlocksOnABrittleDiskSayWhatTheyCannot(t *testing.T) {
	clustertest.Run(t, 1, func(c *clustertest.Cluster) {
		m := c.Members[0]
		disk := &brittledisk.Disk{Disk: m.Disk, FailAt: 0, Times: 1}
		_, err := Open(m.Endpoint, disk)
		require.ErrorIs(t, err, brittledisk.ErrBroken)
		disk.FailAt = 1 << 30
		b, err := Open(m.Endpoint, disk)
		require.NoError(t, err)
		m.In(func(ctx context.Context) {
			small := []byte("content")
			for _, data := range [][]byte{small, []byte(bytesOf(offloadSizeMin))} {
				root, err := b.Add(ctx, data)
				require.NoError(t, err)
				break2 := func(f func() error) {
					t.Helper()
					disk.Count, disk.FailAt, disk.Times = 0, 0, ondisk.ReadingsMax
					require.ErrorIs(t, f(), brittledisk.ErrBroken)
					disk.FailAt = 1 << 30
					require.NoError(t, f())
				}
				break2(func() error { return b.Sync(ctx) })
				break2(func() error { _, err := b.Read(ctx, root, len(data)); return err })
				break2(func() error { return b.Verify(ctx, root) })
				break2(func() error { _, err := b.Open(root); return err })
				break2(func() error { return b.On("other", m.Loop, m.Endpoint).store.addRoot(root, b.store.roots[root], "x") })
				disk.Count, disk.FailAt, disk.Times = 0, 0, 100
				_, err = b.Read(ctx, root, len(data)-1)
				require.ErrorIs(t, err, brittledisk.ErrBroken)
				got, err := b.Read(ctx, root, len(data))
				require.ErrorIs(t, err, brittledisk.ErrBroken)
				require.Empty(t, got)
				_, err = b.Add(ctx, append(data, 'x'))
				require.ErrorIs(t, err, brittledisk.ErrBroken)
				disk.FailAt = 1 << 30
			}
			_, err := b.Read(ctx, leafOf("none").cid, 10)
			require.ErrorIs(t, err, storage.ErrNotFound)
			require.ErrorIs(t, b.Verify(ctx, leafOf("none").cid), storage.ErrNotFound)
			// Of 600 KiB, a second write and the root follow.
			for failAt := range 12 {
				before := inside(b.store)
				disk.Count, disk.FailAt, disk.Times, disk.Failed = 0, failAt, 1, ""
				_, err := b.Add(ctx, []byte(bytesOf(600<<10)))
				if disk.Failed == "" {
					require.NoError(t, err)
					require.Greater(t, failAt, 6)
					break
				}
				require.ErrorIs(t, err, brittledisk.ErrBroken)
				require.Equal(t, before, inside(b.store))
			}
			disk.FailAt = 1 << 30
			list := b.Roots()
			require.IsIncreasing(t, func() (keys []string) {
				for _, c := range list {
					keys = append(keys, c.KeyString())
				}
				return keys
			}())
			require.Len(t, list, 3)
		})
	})
}
