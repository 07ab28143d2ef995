package web

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/wasm/js"
)

// TestClientsAreWaitedForNoLonger than a function may take: one that does not send its body, and one that does not read the answer.
func TestClientsAreWaitedForNoLonger(t *testing.T) {
	for _, head := range []string{"POST /?count HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n", "GET /?size+60000000 HTTP/1.1\r\nHost: h\r\n\r\n"} {
		s := newHurried(t, "page", 300*time.Millisecond, Options{AnswerMax: 64 << 20})
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, head)
		require.NoError(t, err)
		select {
		case o := <-s.ended:
			require.Contains(t, []string{Deadline, Gone}, o.Ended, head) // net/http takes one that is late for one that is gone
		case <-time.After(30 * time.Second):
			require.Fail(t, "the function still waits for its client", head)
		}
		_ = conn.Close()
	}
}

// TestWhoSleepsHasSent what he has written, also if it is no stream of events; and who reads more of the body.
func TestWhoSleepsHasSent(t *testing.T) {
	s := newStage(t, Options{})
	s.module = []byte(js.Mark + `export default { fetch() {
  let n = 0;
  return new Response(new ReadableStream({async pull(c) {
    if (n++ > 0) await new Promise((f) => setTimeout(f, 1000));
    c.enqueue("part " + n + "\n");
    if (n === 3) c.close();
  }}), {headers: {"content-type": "text/plain"}});
} }`)
	at, w, want := &slept{}, httptest.NewRecorder(), ""
	waits := 0
	s.Serve(w, httptest.NewRequest("GET", "http://example.com/", nil), function("fetch"), Exchange{Clock: at,
		Wait: func(_ context.Context, d time.Duration) error {
			waits++
			want += fmt.Sprintf("part %d\n", waits)
			require.Equal(t, want, w.Body.String())
			at.at += d
			return nil
		},
		Module: func(context.Context) ([]byte, error) { return s.module, nil }})
	require.Equal(t, want+"part 3\n", w.Body.String())
	require.GreaterOrEqual(t, waits, 2)
}
