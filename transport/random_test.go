package transport_test

import (
	"context"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// TestAnyFramesFromAPeer: whatever the frames of a peer and their order, with
// conns that come and go, the engine keeps its bounds and still serves.
func TestAnyFramesFromAPeer(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var got []byte
		var err error
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 60).Draw(rt, "steps")
		withScript(t, func(ctx context.Context, s *script) {
			s.Handle("call", transport.Anyone, echo)
			s.Handle("hold", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
				return nil, clock.Sleep(ctx, s.loop, 1<<40)
			})
			s.HandleTell("tell", transport.Anyone, func(context.Context, transport.Peer, []byte) {})
			s.HandleStream("read", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte, st *transport.Stream) {
				for _, err := st.Recv(ctx); err == nil; _, err = st.Recv(ctx) {
				}
			})
			s.HandleStream("drop", transport.Anyone, func(context.Context, transport.Peer, []byte, *transport.Stream) {})
			s.HandleStream("done", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte, st *transport.Stream) { _ = st.CloseWrite() })
			c := s.accept()
			for _, step := range steps {
				switch {
				case step.yield:
					_ = clock.Sleep(ctx, s.loop, 0)
				case step.reset:
					s.host.handler.Closed(c, nil)
					c = s.accept()
				case c.closed:
					c = s.accept()
				default:
					s.host.handler.Frame(c, step.frame)
				}
			}
			got, err = s.Call(ctx, s.Self(), "call", []byte("ok"))
		})
		if err != nil || string(got) != "ok" {
			rt.Fatalf("%q, %v", got, err)
		}
	})
}

type step struct {
	frame        []byte
	yield, reset bool
}

// drawStep mostly draws frames that make sense to a degree: small ids, methods
// that exist, credit that somebody may have.
func drawStep(t *rapid.T) step {
	switch rapid.IntRange(0, 20).Draw(t, "what") {
	case 0:
		return step{reset: true}
	case 1, 2, 3:
		return step{yield: true}
	case 4:
		return step{frame: rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")}
	}
	typ := rapid.ByteRange(1, 11).Draw(t, "type")
	id := rapid.ByteRange(0, 6).Draw(t, "id")
	method := rapid.SampledFrom([]string{"call", "hold", "tell", "read", "drop", "done", "none"}).Draw(t, "method")
	named := append([]byte{byte(len(method))}, method...)
	frame := []byte{typ}
	switch typ {
	case 1:
		frame = append(append(frame, 0, 0, 1, 0, id), named...)
	case 3, 11:
		frame = append(append(frame, id, rapid.ByteRange(0, 10).Draw(t, "kind")), append(named, 0)...)
	case 5, 6:
		frame = append(frame, named...)
	case 7:
		frame = append(append(frame, id), named...)
	case 9:
		frame = append(frame, id, rapid.ByteRange(0, 64).Draw(t, "messages"))
		frame = binary.AppendUvarint(frame, rapid.Uint64Range(0, 1<<21).Draw(t, "bytes"))
	default:
		frame = append(frame, id)
	}
	if typ == 2 || typ == 8 {
		frame = append(frame, make([]byte, rapid.SampledFrom([]int{0, 1, 100, 600_000}).Draw(t, "size"))...)
	}
	return step{frame: frame}
}
