package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// contentStreams: content that is added from a reader has the CID that Add gives it, and is read
// from any offset, whatever the sizes of the pieces.
func contentStreams(s *suite) {
	a, b := s.openBlocks(0), s.openBlocks(1)
	for _, size := range []int{0, 1, 1000, 256<<10 - 1, 256 << 10, 256<<10 + 1, 10<<20 + 3} {
		data := content(size, byte(size))
		var root storage.CID
		s.Do(0, func(ctx context.Context) {
			var err error
			root, err = a.AddReader(ctx, iotest.HalfReader(bytes.NewReader(data)), int64(size))
			assert.NoError(s, err)
			same, err := a.Add(ctx, data)
			assert.NoError(s, err)
			assert.Equal(s, same, root)
		})
		s.reads(0, a, root, data)
		s.Do(1, func(ctx context.Context) {
			assert.NoError(s, b.Fetch(ctx, root, []transport.Peer{s.Node(0).Endpoint.Self()}, big))
			c, err := b.Open(root)
			if !assert.NoError(s, err) {
				return
			}
			assert.NoError(s, iotest.TestReader(c, data))
			assert.NoError(s, b.Remove(root))
			for _, at := range []int{0, size / 2, size - 1, size} {
				_, err := c.Seek(int64(max(0, at)), io.SeekStart)
				assert.NoError(s, err)
				rest, err := io.ReadAll(c)
				assert.NoError(s, err, "an open content was removed")
				assert.True(s, bytes.Equal(data[max(0, at):], rest), "%d from %d", size, at)
			}
			assert.NoError(s, c.Close())
			_, err = c.Read(make([]byte, 1))
			assert.Error(s, err)
			_, err = b.Open(root)
			assert.ErrorIs(s, err, storage.ErrNotFound, "it went when it was closed")
		})
	}
}

// streamBounds: nothing stays of content that is too large or whose reading fails.
func streamBounds(s *suite) {
	a := s.openBlocks(0)
	before := s.diskSize(0)
	data := content(5<<20, 1)
	s.Do(0, func(ctx context.Context) {
		_, err := a.AddReader(ctx, bytes.NewReader(data), int64(len(data)-1))
		assert.ErrorIs(s, err, storage.ErrTooLarge)
		broken := errors.New("broken")
		_, err = a.AddReader(ctx, io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)), big)
		assert.ErrorIs(s, err, broken)
		roots := a.Roots()
		assert.Empty(s, roots)
	})
	assert.Equal(s, before, s.diskSize(0))
}
