package transport_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

// TestDeadPeerIsWaitedForOnce: after a dial has failed, calls and streams fail at
// once while the next dial finds out; when it has, or the peer calls, they do not.
func TestDeadPeerIsWaitedForOnce(t *testing.T) {
	withScript(t, func(ctx context.Context, s *script) {
		s.Handle("t/none", transport.Anyone, func(context.Context, transport.Peer, []byte) ([]byte, error) { return nil, nil })
		fails := func(why string) {
			_, err := s.Call(ctx, s.peer, "t/call", nil)
			require.Equal(t, transport.Unreachable, transport.KindOf(err), "%v", err)
			require.ErrorContains(t, err, why)
			require.False(t, transport.MayHaveRun(err))
			_, err = s.OpenStream(ctx, s.peer, "t/stream", nil)
			require.Equal(t, transport.Unreachable, transport.KindOf(err), "%v", err)
		}
		s.loop.AfterFunc(0, func() { s.dial(errors.New("no route")) })
		fails("no route")
		require.Len(t, s.host.dials, 1)
		fails("just now")
		require.Len(t, s.host.dials, 1)
		s.clock.advance(time.Second)
		fails("goes on")
		fails("goes on")
		require.Len(t, s.host.dials, 2, "the call that failed has dialed")
		require.NoError(t, s.tell(), "a note waits for it")
		c := s.dial(nil)
		require.Equal(t, 1, c.notes())
		_, err := s.OpenStream(ctx, s.peer, "t/stream", nil)
		require.NoError(t, err)
	})
}

// TestDeadPeersAreForgotten: of a thousand dials that failed nothing is left
// after a minute, and of more no more than a thousand at any time.
func TestDeadPeersAreForgotten(t *testing.T) {
	withScript(t, func(_ context.Context, s *script) {
		for i := range 3000 {
			require.NoError(t, s.Tell(peerNamed(fmt.Sprint(i)), "t/note", nil))
			s.dial(errors.New("no route"))
			require.LessOrEqual(t, s.engine.Links(), 1024)
			if i%100 == 0 {
				s.clock.advance(time.Second)
			}
		}
		require.Equal(t, transport.Unreachable, transport.KindOf(s.Tell(peerNamed("2999"), "t/note", nil)), "it is known")
		s.clock.advance(time.Minute)
		require.Zero(t, s.engine.Links())
		require.Empty(t, s.clock.timers)
	})
}
