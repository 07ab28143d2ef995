package transport_test

import (
	"context"
	"testing"
	"time"

	"github.com/taucloud/tau/transport"
)

// FuzzEngine feeds what a peer sends, after its hello, to the engine: whatever it is, nothing
// panics, and the engine serves another peer afterwards. A byte says how long a frame is.
func FuzzEngine(f *testing.F) {
	cut := func(frames ...[]byte) (data []byte) {
		for _, frame := range frames {
			data = append(append(data, byte(len(frame))), frame...)
		}
		return data
	}
	f.Add(cut(request(1, 5000, "t/call", []byte("a")), openFrame(1, "t/stream", 'd'), withID(endType, 1)))
	f.Add(cut(append([]byte{typeNote, 6}, "t/note"...), append([]byte{6, 7}, "t/topic"...), withID(dataType, 1, 'x')))
	f.Add(cut([]byte{12, 1, 100, 1}, []byte{13, 1, 1}, []byte{14, 1}, []byte{15, 7}, []byte{16, 255}, []byte{19}, []byte{0x40}, []byte{0xc0}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<12 {
			return
		}
		onStage(t, func(ctx context.Context, s *stage) {
			served := 0
			s.Handle("t/call", transport.Anyone, func(_ context.Context, _ transport.Peer, m []byte) ([]byte, error) {
				served++
				return m, nil
			})
			s.HandleTell("t/note", transport.Member, func(context.Context, transport.Peer, []byte) {})
			s.Subscribe("t/topic", transport.Member, func(context.Context, transport.Peer, []byte) {})
			s.HandleStream("t/stream", transport.Member, func(ctx context.Context, _ transport.Peer, _ []byte, st *transport.Stream) {
				if m, err := st.Recv(ctx); err == nil {
					_ = st.Send(ctx, m)
				}
			})
			for _, p := range []transport.Peer{s.peer, peerNamed("a stranger")} {
				c := s.accept(p)
				for rest := data; len(rest) > 1; {
					n := min(1+int(rest[0]), len(rest))
					frame := append([]byte{}, rest[1:n]...)
					rest = rest[n:]
					s.host.handler.Frame(c, frame)
				}
				s.sleep(ctx, time.Second)
			}
			before := served
			s.host.handler.Frame(s.accept(peerNamed("another")), request(1, 5000, "t/call", nil))
			s.sleep(ctx, time.Second)
			if served != before+1 {
				t.Fatal("nobody else is served any more")
			}
		})
	})
}
