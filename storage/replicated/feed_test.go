package replicated

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-ds-crdt/pb"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage"
	"google.golang.org/protobuf/proto"
)

// TestFeedHandsOverOneByOne: process returns when the next payload is asked for,
// and not before.
func TestFeedHandsOverOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed()
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, f.Broadcast(ctx, nil))
		processed := 0
		go func() {
			for _, text := range []string{"a", "b"} {
				if f.process([]storage.CID{cidFor(text), cidFor("x")}) {
					processed++
				}
			}
		}()
		for i, text := range []string{"a", "b"} {
			raw, err := f.Next(ctx)
			require.NoError(t, err)
			synctest.Wait()
			require.Equal(t, i, processed)
			var payload pb.CRDTBroadcast
			require.NoError(t, proto.Unmarshal(raw, &payload))
			require.Len(t, payload.Heads, 2)
			require.Equal(t, cidFor(text).Bytes(), payload.Heads[0].Cid)
			require.Equal(t, cidFor("x").Bytes(), payload.Heads[1].Cid)
		}
		cancel()
		raw, err := f.Next(ctx)
		require.ErrorIs(t, err, context.Canceled, "while somebody waits, or nobody does")
		require.Nil(t, raw)
		f.close()
	})
}

// TestFeedsEnd: whoever waits on a feed that ends is told so.
func TestFeedsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, taken := range []bool{false, true} {
			f := newFeed()
			done := make(chan bool)
			go func() { done <- f.process([]storage.CID{cidFor("a")}) }()
			if taken {
				_, err := f.Next(t.Context())
				require.NoError(t, err)
			}
			synctest.Wait()
			f.close()
			f.close()
			require.False(t, <-done)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			for range 2 { // busy or not
				_, err := f.Next(ctx)
				require.ErrorIs(t, err, context.Canceled)
			}
		}
	})
}

// cidFor is the CID of a text as a block.
func cidFor(text string) storage.CID {
	c, err := cid.V1Builder{Codec: cid.Raw, MhType: merkledag.V1CidPrefix().MhType}.Sum([]byte(text))
	if err != nil {
		panic(err)
	}
	return c
}
