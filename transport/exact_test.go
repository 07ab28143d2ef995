package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
)

// Each bound is what it says: as much is taken, and one more is not.

func TestWhatDecodingMayTake(t *testing.T) {
	s := sizer{left: 64}
	require.ErrorIs(t, s.charge(9, 8), errTooRich)
	require.NoError(t, s.charge(7, 8))
	require.Equal(t, 8, s.left)
	require.ErrorIs(t, s.charge(2, 8), errTooRich)
	require.NoError(t, s.charge(1<<40, 0), "what takes nothing")
	require.NoError(t, s.charge(1, 8))
	require.Zero(t, s.left)
	require.ErrorIs(t, s.charge(1, 1), errTooRich)
	require.NoError(t, s.charge(0, 1))
}

func TestHowDeepValuesMayBe(t *testing.T) {
	for name, nest := range map[string][]byte{"arrays": {0x81}, "keys": {0xa1}, "values": {0xa1, 0x01}} {
		for depth, want := range map[int]error{0: nil, decodeDepthMax: nil, decodeDepthMax + 1: errTooDeep} {
			data := bytes.Repeat(nest, depth)
			data = append(data, bytes.Repeat([]byte{0x01}, depth+1)...) // the innermost, and the values that are missing
			s := sizer{rest: data, left: 1 << 20}
			require.ErrorIs(t, s.item(nil, 0), want, "%s %d", name, depth)
		}
	}
}

func TestHeadsOfCBOR(t *testing.T) {
	for _, x := range []struct {
		data  []byte
		value uint64
		ok    bool
	}{
		{[]byte{0}, 0, true}, {[]byte{23}, 23, true}, {[]byte{24, 200}, 200, true}, {[]byte{24}, 0, false}, {[]byte{25, 1, 2}, 258, true},
		{[]byte{25, 1}, 0, false}, {[]byte{26, 1, 0, 0, 2}, 1<<24 + 2, true}, {[]byte{26, 1, 0, 0}, 0, false}, {[]byte{27, 1, 0, 0, 0, 0, 0, 0, 3}, 1<<56 + 3, true},
		{[]byte{27, 1, 0, 0, 0, 0, 0, 0}, 0, false}, {append([]byte{28}, make([]byte, 20)...), 0, false}, {append([]byte{31}, make([]byte, 200)...), 0, false},
	} {
		s := sizer{rest: append(x.data[:len(x.data):len(x.data)], 0x77)}
		if !x.ok && len(x.data) < 20 {
			s.rest = x.data
		}
		value, ok := s.number()
		require.Equal(t, []any{x.value, x.ok}, []any{value, ok}, "%x", x.data)
		if ok {
			require.Equal(t, []byte{0x77}, s.rest)
		}
	}
	for _, x := range []struct {
		data  []byte
		major byte
		n     int
		good  bool
	}{
		{nil, 0, 0, false}, {[]byte{0x18, 200}, 0, 0, true}, {[]byte{0x38, 200}, 1, 0, true}, {[]byte{0x42, 1, 2}, 2, 2, true}, {[]byte{0x43, 1, 2}, 0, 0, false},
		{[]byte{0x62, 1, 2}, 3, 2, true}, {[]byte{0x82, 1, 2}, 4, 2, true}, {[]byte{0x83, 1, 2}, 0, 0, false}, {[]byte{0xa1, 1, 2}, 5, 1, true},
		{[]byte{0xd8, 200}, 6, 0, true}, {[]byte{0xf6}, 7, 0, true}, {[]byte{0x58}, 0, 0, false},
	} {
		s := sizer{rest: x.data}
		major, n, err := s.head()
		require.Equal(t, x.good, err == nil, "%x", x.data)
		require.Equal(t, []any{x.major, x.n}, []any{major, n}, "%x", x.data)
	}
}

// TestWhenCreditIsGiven: when half a window is due, and never for what was not taken.
func TestWhenCreditIsGiven(t *testing.T) {
	f := newInflow(100)
	require.True(t, f.receive(60))
	require.True(t, f.receive(60), "the last message may exceed it")
	require.Equal(t, []int{-20, 120}, []int{f.open, f.held})
	require.False(t, f.receive(1))
	require.Zero(t, f.take(20), "it is due only what it has exceeded")
	require.Zero(t, f.take(29))
	require.Equal(t, 50, f.take(1))
	f = newInflow(100)
	require.True(t, f.receive(100))
	require.False(t, f.receive(1), "nothing is left")
	require.Zero(t, f.take(49))
	require.Equal(t, 50, f.take(1))
	require.Equal(t, 50, f.open)
	require.Equal(t, 30, f.grow(30))
	require.Equal(t, []int{130, 80, 50}, []int{f.size, f.open, f.held})
	require.Zero(t, f.shrink(100), "nothing is due")
	f.held -= 40
	require.Equal(t, 30, f.shrink(100))
	require.Equal(t, 100, f.size)
	require.Zero(t, f.shrink(200), "it is smaller")
	require.Equal(t, 10, f.shrink(10), "as much as is due")
}

func TestTransferTimes(t *testing.T) {
	for bytes, want := range map[int64]time.Duration{
		-1: 0, 0: 0, rateMin - 1: 0, rateMin: time.Second, 10 * rateMin: 10 * time.Second, 3600 * rateMin: time.Hour, 3601 * rateMin: time.Hour, 1 << 62: time.Hour,
	} {
		require.Equal(t, want, TransferTime(bytes), bytes)
	}
}

func TestBoundsOfMessages(t *testing.T) {
	for _, x := range []struct {
		name string
		len  int
		good bool
	}{{"", 0, false}, {"m", 0, true}, {strings.Repeat("m", nameLenMax), 1, true}, {strings.Repeat("m", nameLenMax+1), 1, false}, {"m", MessageLenMax, true}, {"m", MessageLenMax + 1, false}} {
		err := checkMessage(x.name, make([]byte, x.len))
		require.Equal(t, x.good, err == nil, "%d %d", len(x.name), x.len)
		if !x.good {
			require.Equal(t, Invalid, KindOf(err))
		}
	}
}

// TestWhatErrorsAre: their kinds, and after which of them something may have run.
func TestWhatErrorsAre(t *testing.T) {
	for _, x := range []struct {
		err error
		of  Kind
		ran bool
	}{
		{nil, 0, false}, {errors.New("any"), Internal, true}, {context.DeadlineExceeded, Timeout, true}, {fmt.Errorf("in: %w", context.Canceled), Stopped, true},
		{clock.ErrStopped, Stopped, true}, {New(Unreachable, "op", ""), Unreachable, true}, {&Error{Kind: Unreachable, unsent: true}, Unreachable, false},
		{&Error{Kind: Timeout, unsent: true}, Timeout, false}, {New(NotFound, "", ""), NotFound, false}, {New(Conflict, "", ""), Conflict, false},
		{New(Refused, "", ""), Refused, false}, {New(Invalid, "", ""), Invalid, false}, {New(NotAllowed, "", ""), NotAllowed, false},
		{fmt.Errorf("in: %w", New(Internal, "", "")), Internal, true}, {New(Stopped, "", ""), Stopped, true},
	} {
		require.Equal(t, x.of, KindOf(x.err), "%v", x.err)
		require.Equal(t, x.ran, MayHaveRun(x.err), "%v", x.err)
	}
	require.ErrorIs(t, New(Refused, "a", "b"), New(Refused, "", ""))
	require.NotErrorIs(t, New(Refused, "a", "b"), New(Conflict, "a", "b"))
	require.NotErrorIs(t, New(Internal, "", ""), context.Canceled)
	require.True(t, Answered(fmt.Errorf("in: %w", &Error{answered: true})))
	require.False(t, Answered(New(Refused, "", "")) || Answered(errors.New("any")) || Answered(nil))
	for cause, want := range map[error]Kind{errors.New("a cause of its own"): Stopped, context.DeadlineExceeded: Timeout, clock.ErrStopped: Stopped, New(Refused, "", ""): Refused} {
		err := waitError(cause)
		require.Equal(t, want, err.Kind, "%v", cause)
		require.ErrorIs(t, err, cause)
	}
}

// TestRoomOfASession: a little always, more while the node has it.
func TestRoomOfASession(t *testing.T) {
	e, sessions := flows(1, Bulk)
	s := sessions[0]
	for _, x := range []struct {
		outbound, size int
		fits           bool
	}{
		{0, sessionBytesMax, true}, {0, sessionBytesMax + 1, false}, {outboundBytesMax, sessionBytesMin, true}, {outboundBytesMax, sessionBytesMin + 1, false},
		{outboundBytesMax - sessionBytesMin - 1, sessionBytesMin + 1, true}, {outboundBytesMax - sessionBytesMin, sessionBytesMin + 1, false},
	} {
		e.outbound[Bulk] = x.outbound
		require.Equal(t, x.fits, e.fits(s, x.size), "%+v", x)
	}
}

// TestLinksForgetSessions: another of the link's goes on, unless it is a stranger's.
func TestLinksForgetSessions(t *testing.T) {
	for _, stranger := range []bool{false, true} {
		a, b := &session{}, &session{stranger: stranger}
		l := &link{dialed: a, accepted: b, current: a}
		l.forget(a)
		require.Nil(t, l.dialed)
		require.Equal(t, !stranger, l.current == b)
		l.forget(b)
		require.Nil(t, l.accepted)
		require.Nil(t, l.current)
	}
	a, b := &session{}, &session{}
	l := &link{dialed: a, accepted: b, current: b}
	l.forget(b)
	require.Same(t, a, l.current)
	l = &link{dialed: a, accepted: b, current: a}
	l.forget(b)
	require.Same(t, a, l.current)
}

// TestWhatIsIdle: a remote that nothing is known of and nothing goes on with.
func TestWhatIsIdle(t *testing.T) {
	for name, change := range map[string]func(r *remote){
		"it is dialed": func(r *remote) { r.links[Bulk].dialing = true }, "its calls are served": func(r *remote) { r.links[Control].handlers = 1 },
		"it has a session": func(r *remote) { r.sessions = 1 }, "its dials fail": func(r *remote) { r.backoff = 1 },
	} {
		e := &Engine{remotes: map[Peer]*remote{}}
		r := e.remoteOf(Peer{1})
		change(r)
		e.forgetIdle(r)
		require.Len(t, e.remotes, 1, name)
		*r = remote{peer: r.peer}
		e.forgetIdle(r)
		require.Empty(t, e.remotes, name)
	}
}

// TestFieldsAreFoundByTheirKeys: by name, by number, and with letters of either case, as the decoder does.
func TestFieldsAreFoundByTheirKeys(t *testing.T) {
	type inner struct {
		Deep int16 `cbor:"deep"`
	}
	f := fieldsOf(reflect.TypeFor[struct {
		inner
		List   []int64 `cbor:"list"`
		Third  int32   `cbor:"3,keyasint"`
		Minus  uint8   `cbor:"-2,keyasint"`
		Plain  string
		Hidden uint64 `cbor:"-"`
	}]())
	for _, x := range []struct {
		key  any
		want reflect.Type
	}{
		{"list", reflect.TypeFor[[]int64]()}, {"LIST", reflect.TypeFor[[]int64]()}, {"lis", nil}, {"lists", nil},
		{3, reflect.TypeFor[int32]()}, {4, nil}, {-2, reflect.TypeFor[uint8]()}, {-3, nil}, {2, nil},
		{"Plain", reflect.TypeFor[string]()}, {"plain", reflect.TypeFor[string]()}, {"Hidden", nil}, {"-", nil}, {"", nil},
	} {
		require.Equal(t, x.want, f.named(Encode(x.key)), "%v", x.key)
	}
}
