package transport_test

import (
	"context"
	"testing"
	"time"

	"github.com/taucloud/tau/transport"
)

// FuzzHello feeds what a peer sends first, and a call behind it, to an engine whose members prove what they are: who has not shown
// the word is served nothing that is for members.
func FuzzHello(f *testing.F) {
	f.Add(helloFrame(transport.Hello{VersionMin: 1, VersionMax: 1, Credentials: []byte("wrong")}))
	f.Add(helloFrame(transport.Hello{VersionMin: 7, VersionMax: 9}))
	f.Add(helloFrame(transport.Hello{VersionMin: 1, VersionMax: 1, Class: transport.Bulk}))
	f.Add([]byte{credentialsType, 1})
	f.Fuzz(func(t *testing.T, first []byte) {
		withClub(t, func(ctx context.Context, s *script, club *club) {
			runs := 0
			s.Handle("t/members", transport.Member, func(context.Context, transport.Peer, []byte) ([]byte, error) {
				runs++
				return nil, nil
			})
			c := &scriptConn{remote: peerNamed("fuzzed")}
			s.host.handler.Accepted(c)
			s.host.handler.Frame(c, append([]byte(nil), first...))
			s.host.handler.Frame(c, requestFrame(1, "t/members"))
			s.clock.advance(time.Minute)
			if _, member := club.members[c.remote]; runs > 0 && !member {
				t.Fatal("a stranger is served")
			}
			if halfOpen, strangers := s.engine.AtTheDoor(); !c.closed && halfOpen+strangers > 0 {
				t.Fatal("a stranger stays")
			}
		})
	})
}
