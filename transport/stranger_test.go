package transport_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// club is an Authority whose members prove what they are by a word.
type club struct {
	members map[transport.Peer]bool
	own     []byte
	changed func(own bool)
	checked int
}

func newClub() *club { return &club{members: map[transport.Peer]bool{}, own: []byte("me")} }

func (c *club) Present() []byte { return c.own }
func (c *club) Watch(changed func(own bool)) {
	c.changed = changed
}
func (c *club) Admit(p transport.Peer, shown []byte) error {
	c.checked++
	if string(shown) != "member" {
		return errors.New("the word is wrong")
	}
	c.members[p] = true
	return nil
}
func (c *club) Grants(p transport.Peer) (transport.Grants, bool) {
	return transport.Grants{}, c.members[p]
}

// withClub is withScript for an engine whose members prove what they are.
func withClub(t *testing.T, f func(ctx context.Context, s *script, c *club)) {
	c := newClub()
	withScriptOf(t, func(ctx context.Context, s *script) { f(ctx, s, c) }, transport.AuthorizeBy(c))
}

// comes has a peer open a conn and say hello with a word.
func (s *script) comes(name, word string) *scriptConn {
	c := &scriptConn{remote: peerNamed(name)}
	s.host.handler.Accepted(c)
	s.host.handler.Frame(c, helloFrame(transport.Hello{VersionMin: 1, VersionMax: 1, Credentials: []byte(word)}))
	return c
}

const credentialsType = 20

func requestFrame(id byte, method string) []byte {
	return append([]byte{1, 0, 0, 0x10, 0, id, byte(len(method))}, method...)
}

func (c *scriptConn) has(typ byte) bool {
	for _, f := range c.sent {
		if f[0] == typ {
			return true
		}
	}
	return false
}

// TestCredentialsAreInTheHello of both ends, and a dial ends at one who is no member.
func TestCredentialsAreInTheHello(t *testing.T) {
	withClub(t, func(ctx context.Context, s *script, _ *club) {
		c := s.comes("peer", "")
		var hello transport.Hello
		require.NoError(t, transport.Decode(c.sent[0][1:], &hello))
		require.Equal(t, "me", string(hello.Credentials))
		require.NoError(t, s.tell(), "waits for a dial: a stranger's conn carries nothing of ours")
		require.Zero(t, c.notes())
		d := &scriptConn{remote: s.peer}
		s.host.dials[0](d, nil)
		s.host.handler.Frame(d, helloFrame(transport.Hello{VersionMin: 1, VersionMax: 1, Credentials: []byte("wrong")}))
		require.True(t, d.closed)
		require.Zero(t, d.notes())
		err := s.tell()
		require.Equal(t, transport.NotAllowed, transport.KindOf(err))
		require.ErrorContains(t, err, "the word is wrong")
		require.False(t, c.closed, "it may still call what is for anyone")

		s.clock.now += time.Minute
		require.NoError(t, s.tell())
		d = &scriptConn{remote: s.peer}
		s.host.dials[1](d, nil)
		s.host.handler.Frame(d, helloFrame(transport.Hello{VersionMin: 1, VersionMax: 1, Credentials: []byte("member")}))
		require.False(t, d.closed)
		require.Equal(t, 1, d.notes())
	})
}

// TestStrangersMayDoLittle: what is for anyone, within bounds.
func TestStrangersMayDoLittle(t *testing.T) {
	withClub(t, func(ctx context.Context, s *script, _ *club) {
		runs := 0
		s.Handle("t/any", transport.Anyone, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
			runs++
			return nil, clock.Sleep(ctx, s.loop, time.Hour)
		})
		s.Handle("t/members", transport.Member, func(context.Context, transport.Peer, []byte) ([]byte, error) {
			runs += 1000
			return nil, nil
		})
		c := s.comes("peer", "wrong")
		s.host.handler.Frame(c, requestFrame(1, "t/members"))
		require.True(t, c.has(3))
		require.Contains(t, string(c.sent[len(c.sent)-1]), "it is for members: the word is wrong")
		for i := range 9 {
			s.host.handler.Frame(c, requestFrame(byte(2+i), "t/any"))
		}
		for runs < 4 && clock.Sleep(ctx, s.loop, time.Millisecond) == nil {
		}
		require.NoError(t, clock.Sleep(ctx, s.loop, time.Millisecond))
		require.Equal(t, 4, runs)
		require.False(t, c.closed)
		for i := range 5 {
			require.False(t, c.closed, "%d", i)
			s.host.handler.Frame(c, append([]byte{5, 1, 'n'}, make([]byte, 60<<10)...))
		}
		require.True(t, c.closed, "over 256 KiB")
		_, strangers := s.engine.AtTheDoor()
		require.Zero(t, strangers)
	})
}

// TestRoomForStrangers is bounded, in number and time, and members need none of it.
func TestRoomForStrangers(t *testing.T) {
	withClub(t, func(ctx context.Context, s *script, _ *club) {
		var silent, strange, members []*scriptConn
		for i := range 300 {
			c := &scriptConn{remote: peerNamed(fmt.Sprintf("silent %d", i))}
			s.host.handler.Accepted(c)
			silent = append(silent, c)
			if i < 100 {
				strange = append(strange, s.comes(fmt.Sprintf("strange %d", i), ""))
				members = append(members, s.comes(fmt.Sprintf("member %d", i), "member"))
			}
		}
		for i, c := range silent {
			require.Equal(t, i < 300-256, c.closed, "silent %d", i)
		}
		for i := range 100 {
			require.Equal(t, i < 100-64, strange[i].closed, "strange %d", i)
			require.False(t, members[i].closed, "member %d", i)
		}
		halfOpen, strangers := s.engine.AtTheDoor()
		require.Equal(t, []int{256, 64}, []int{halfOpen, strangers})
		s.clock.advance(31 * time.Second)
		for i := range 100 {
			require.True(t, silent[i].closed && strange[i].closed, "%d", i)
			require.False(t, members[i].closed, "member %d", i)
		}
		halfOpen, strangers = s.engine.AtTheDoor()
		require.Zero(t, halfOpen+strangers)
	})
}

// TestOnePeerDoesNotPushOutOthers: of those that have not said hello, who has many conns gives way first. Who has
// said it has one for each class.
func TestOnePeerDoesNotPushOutOthers(t *testing.T) {
	withClub(t, func(ctx context.Context, s *script, _ *club) {
		quiet := &scriptConn{remote: peerNamed("quiet")}
		s.host.handler.Accepted(quiet)
		newcomer := s.comes("newcomer", "")
		for i := range 8 * 40 {
			s.host.handler.Accepted(&scriptConn{remote: peerNamed(fmt.Sprintf("silent %d", i/8))})
			s.comes(fmt.Sprintf("loud %d", i/8), "")
		}
		require.False(t, quiet.closed)
		require.False(t, newcomer.closed)
		halfOpen, strangers := s.engine.AtTheDoor()
		require.InDelta(t, 256, halfOpen, 1)
		require.Equal(t, 41, strangers)
	})
}

// TestMembershipEndsInTheMiddle of a call: the handler is cancelled, and nobody hears
// what it answers.
func TestMembershipEndsInTheMiddle(t *testing.T) {
	withClub(t, func(ctx context.Context, s *script, club *club) {
		began, ended := false, false
		s.Handle("t/long", transport.Member, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
			began = true
			err := clock.Sleep(ctx, s.loop, time.Hour)
			ended = err != nil
			return []byte("the answer"), nil
		})
		c, other := s.comes("peer", "member"), s.comes("other", "member")
		s.host.handler.Frame(c, requestFrame(1, "t/long"))
		for !began && clock.Sleep(ctx, s.loop, time.Millisecond) == nil {
		}
		require.True(t, began && !ended)
		sent := len(c.sent)
		delete(club.members, s.peer)
		club.changed(false)
		require.True(t, c.closed)
		require.False(t, other.closed)
		for !ended && clock.Sleep(ctx, s.loop, time.Millisecond) == nil {
		}
		require.Len(t, c.sent, sent)
	})
}

// TestOtherCredentialsOnOneConn: both ends may show others at any time, but not at any rate.
func TestOtherCredentialsOnOneConn(t *testing.T) {
	withClub(t, func(ctx context.Context, s *script, club *club) {
		c := s.comes("peer", "wrong")
		require.NoError(t, s.tell())
		s.host.handler.Frame(c, append([]byte{credentialsType}, "member"...))
		require.Equal(t, 1, c.notes(), "what waits for a dial need not wait any more")
		s.clock.advance(time.Minute)
		require.False(t, c.closed, "it is no stranger any more")
		s.host.handler.Frame(c, append([]byte{credentialsType}, "wrong"...))
		require.False(t, c.closed, "what it has shown before still counts")

		club.own = []byte("renewed")
		club.changed(true)
		require.Equal(t, append([]byte{credentialsType}, "renewed"...), c.sent[len(c.sent)-1])

		checked := club.checked
		for range 100 {
			s.host.handler.Frame(c, append([]byte{credentialsType}, "member"...))
		}
		require.True(t, c.closed)
		require.Less(t, club.checked-checked, 16)
		c = s.comes("peer", string(make([]byte, transport.CredentialsLenMax+1)))
		require.True(t, c.closed, "too long")
	})
}
