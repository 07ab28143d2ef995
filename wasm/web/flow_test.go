package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/fixtures/guests"
)

// streaming is a server of the function that streams.
type streaming struct {
	*stage
	*httptest.Server
	ended chan Outcome
}

func newStreaming(t *testing.T, call string, o Options) *streaming {
	return newHurried(t, call, 30*time.Second, o)
}

// newHurried is one whose function has so much time.
func newHurried(t *testing.T, call string, timeout time.Duration, o Options) *streaming {
	s := &streaming{stage: newStage(t, o), ended: make(chan Outcome, 1)}
	f := Function{Module: "stream", Call: call, Timeout: timeout, MemoryMax: 1 << 20}
	module := guests.Read("stream-c")
	require.NoError(t, s.Load(context.Background(), f, module))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		s.Serve(w, q, f, Exchange{ID: "r1", Ran: func(o Outcome) { s.ended <- o }})
	}))
	t.Cleanup(s.Server.Close)
	return s
}

// TestWhatIsWrittenIsSent while the function goes on: it answers a line before the next one is sent.
func TestWhatIsWrittenIsSent(t *testing.T) {
	for _, call := range []string{"page", "event"} {
		s := newStreaming(t, call, Options{})
		in, out := io.Pipe()
		q, err := http.NewRequest("POST", s.URL+"/?echo", in)
		require.NoError(t, err)
		go func() { _, _ = out.Write([]byte("first\n")) }()
		response, err := http.DefaultClient.Do(q)
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, response.Body, int64(len("first\n")))
		require.NoError(t, err)
		lines := bufio.NewReader(response.Body)
		for i := range 3 {
			_, err := fmt.Fprintf(out, "line %d\n", i)
			require.NoError(t, err)
			line, err := lines.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("line %d\n", i), line)
		}
		require.NoError(t, out.Close())
		_, err = lines.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, response.Body.Close())
		require.Equal(t, Answered, (<-s.ended).Ended)
	}
}

// TestLongAnswers: short ones have their length, longer ones come in parts; one that fails in its midst is cut.
func TestLongAnswers(t *testing.T) {
	s := newStreaming(t, "page", Options{AnswerMax: 2 << 20})
	for _, c := range []struct {
		query  string
		length int64
		got    int
		whole  bool
		ended  string
	}{
		{"size 1000", 1000, 1000, true, Answered},
		{"size 1000000", -1, 1000000, true, Answered},
		{"declared size 1000000", 1000000, 1000000, true, Answered},
		{"traps size 1000000", -1, -1, false, Trapped},
		{"traps declared size 1000000", 1000000, -1, false, Trapped},
		{"size 4000000", -1, -1, false, TooLong},
		{"events 3 1", -1, len("data: 0\n\n") * 3, true, Answered},
	} {
		response, err := http.Get(s.URL + "/?" + strings.ReplaceAll(c.query, " ", "+"))
		require.NoError(t, err)
		require.Equal(t, 200, response.StatusCode, c.query)
		require.Equal(t, c.length, response.ContentLength, c.query)
		got, err := io.Copy(io.Discard, response.Body)
		require.Equal(t, c.whole, err == nil, "%s: %v", c.query, err)
		if c.whole {
			require.EqualValues(t, c.got, got, c.query)
		}
		require.Equal(t, c.ended, (<-s.ended).Ended, c.query)
	}
	response, err := http.Get(s.URL + "/?traps+size+1000")
	require.NoError(t, err)
	require.Equal(t, 500, response.StatusCode, "nothing was sent yet")
	require.Equal(t, Trapped, (<-s.ended).Ended)
	for query, length := range map[string]int64{"size+1000": 1000, "declared+size+10000000": 10000000, "size+1000000": -1} {
		response, err := http.Head(s.URL + "/?" + query)
		require.NoError(t, err)
		require.Equal(t, length, response.ContentLength, query)
		require.Equal(t, Answered, (<-s.ended).Ended, "no more of it is made than is wanted")
	}
}

// slowly is a body of so many bytes, the most of which was read at once is kept.
type slowly struct{ left, most int }

func (b *slowly) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	b.most = max(b.most, len(p))
	n := min(len(p), b.left)
	b.left -= n
	return n, nil
}

// TestLongBodies: they are read as the function reads them, up to a bound, and one that breaks off has no end.
func TestLongBodies(t *testing.T) {
	s := newStreaming(t, "page", Options{BodyMax: 3 << 20})
	post := func(body io.Reader, length int64) (int, string) {
		q, err := http.NewRequest("POST", s.URL+"/?count", body)
		require.NoError(t, err)
		q.ContentLength = length
		response, err := http.DefaultClient.Do(q)
		require.NoError(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(text)
	}
	for _, c := range []struct {
		size     int
		declared bool
		status   int
		want     string
	}{
		{10, true, 200, "10 bytes, length 10, ended well\n"},
		{10, false, 200, "10 bytes, length none, ended well\n"},
		{partLen, true, 200, "65536 bytes, length 65536, ended well\n"},
		{partLen, false, 200, "65536 bytes, length none, ended well\n"},
		{2 << 20, true, 200, "2097152 bytes, length 2097152, ended well\n"},
		{2 << 20, false, 200, "2097152 bytes, length none, ended well\n"},
	} {
		length := int64(-1)
		if c.declared {
			length = int64(c.size)
		}
		status, text := post(&slowly{left: c.size}, length)
		require.Equal(t, c.status, status, "%d %v", c.size, c.declared)
		require.Equal(t, c.want, text)
		<-s.ended
	}
	s.module = guests.Read("stream-c")
	for _, length := range []int64{-1, 3<<20 + 1} {
		body := &slowly{left: 100 << 20}
		q := httptest.NewRequest("POST", "http://example.com/?count", body)
		q.ContentLength = length
		w := s.ask(Function{Module: "stream", Call: "page", Timeout: 30 * time.Second, MemoryMax: 1 << 20}, q)
		require.Equal(t, 413, w.Code)
		require.LessOrEqual(t, body.most, readLen, "no more is held of it")
		require.GreaterOrEqual(t, body.left, 97<<20-readLen, "and no more is read")
	}
}

// TestWhoGoesStopsTheFunction: it ends at once, and holds nothing any more.
func TestWhoGoesStopsTheFunction(t *testing.T) {
	s := newStreaming(t, "page", Options{})
	ctx, cancel := context.WithCancel(context.Background())
	q, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/?echo", &blocked{ctx, strings.NewReader(strings.Repeat("x", partLen))})
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	_, err = io.CopyN(io.Discard, response.Body, partLen)
	require.NoError(t, err)
	cancel()
	o := <-s.ended
	require.Equal(t, Gone, o.Ended)
	require.Empty(t, o.Log)
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Zero(t, s.calls-len(s.ended))
}

// blocked is a body that says nothing more after its beginning.
type blocked struct {
	ctx   context.Context
	first io.Reader
}

func (b *blocked) Read(p []byte) (int, error) {
	if n, err := b.first.Read(p); err == nil {
		return n, nil
	}
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

// slept is a clock that only sleeping moves.
type slept struct{ at time.Duration }

func (c *slept) Now() time.Time         { return time.Unix(0, 0).Add(c.at) }
func (c *slept) Elapsed() time.Duration { return c.at }

// TestSleepIsTime of the call, which ends when its time is up; what was written before has been sent.
func TestSleepIsTime(t *testing.T) {
	s := newStage(t, Options{})
	s.module = guests.Read("stream-c")
	f := Function{Module: "stream", Call: "page", Timeout: 10 * time.Second, MemoryMax: 1 << 20}
	for _, c := range []struct {
		query string
		ended string
		slept time.Duration
	}{{"events+3+2000", Answered, 4 * time.Second}, {"events+30+2000", Deadline, 10 * time.Second}, {"late+9000", Answered, 9 * time.Second}, {"late+900000", Deadline, 10 * time.Second}} {
		at, w := &slept{}, httptest.NewRecorder()
		var o Outcome
		var spent uint64
		cut := func() (cut bool) {
			defer func() { cut = recover() != nil }()
			s.Serve(w, httptest.NewRequest("GET", "http://example.com/?"+c.query, nil), f, Exchange{Clock: at, Ran: func(is Outcome) { o = is },
				Wait:   func(_ context.Context, d time.Duration) error { at.at += d; return nil },
				Spent:  func(_ context.Context, fuel uint64) error { spent += fuel; return nil },
				Module: func(context.Context) ([]byte, error) { return s.module, nil }})
			return false
		}()
		require.Equal(t, c.ended, o.Ended, c.query)
		require.Equal(t, c.slept, at.at, c.query)
		require.Equal(t, o.Usage.Fuel, spent)
		switch {
		case strings.HasPrefix(c.query, "late"):
			require.False(t, cut)
			require.Equal(t, c.ended == Deadline, w.Code == 504)
		default:
			require.Equal(t, c.ended == Deadline, cut, "a part was sent")
			require.Contains(t, w.Body.String(), "data: 2\n")
		}
	}
}
