package live

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// opened is a door with a handler behind it.
func opened(t *testing.T, h http.Handler) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := doorServer(h, nil)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

// TestWhoResetsAgainAndAgainIsCutOff: requests that are reset at once count until their handlers have ended; who goes on loses the connection.
func TestWhoResetsAgainAndAgainIsCutOff(t *testing.T) {
	var running, most, all atomic.Int64
	release := make(chan struct{})
	at := opened(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := running.Add(1)
		defer running.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		all.Add(1)
		<-release
	}))
	defer close(release)
	c, err := net.Dial("tcp", at)
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, http2.ClientPreface)
	require.NoError(t, err)
	framer := http2.NewFramer(c, c)
	require.NoError(t, framer.WriteSettings())
	var head bytes.Buffer
	enc := hpack.NewEncoder(&head)
	for _, f := range []string{":method GET", ":scheme http", ":authority www.example.com", ":path /"} {
		name, value, _ := strings.Cut(f, " ")
		require.NoError(t, enc.WriteField(hpack.HeaderField{Name: name, Value: value}))
	}
	block := bytes.Clone(head.Bytes())
	go func() {
		for i := range uint32(20_000) {
			err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block, EndStream: true, EndHeaders: true})
			if err == nil {
				err = framer.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
			}
			if err != nil {
				return
			}
		}
	}()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(30*time.Second)))
	streams := uint32(0)
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			var late net.Error
			require.False(t, errorsAs(err, &late), "the connection was not closed: %v", err)
			break
		}
		if s, is := f.(*http2.SettingsFrame); is && !s.IsAck() {
			streams, _ = s.Value(http2.SettingMaxConcurrentStreams)
			window, _ := s.Value(http2.SettingInitialWindowSize)
			list, _ := s.Value(http2.SettingMaxHeaderListSize)
			require.EqualValues(t, doorWindow, window)
			require.LessOrEqual(t, list, uint32(doorHeadLenMax+4096))
		}
	}
	require.EqualValues(t, doorStreamsMax, streams)
	require.LessOrEqual(t, most.Load(), int64(doorStreamsMax))
	require.LessOrEqual(t, all.Load(), int64(doorStreamsMax))
}

func errorsAs(err error, late *net.Error) bool {
	e, is := err.(net.Error)
	*late = e
	return is && e.Timeout()
}

// TestHeadsAreBounded, in both protocols.
func TestHeadsAreBounded(t *testing.T) {
	at := opened(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, h2 := range []bool{false, true} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!h2)
		protocols.SetUnencryptedHTTP2(h2)
		client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
		for length, fine := range map[int]bool{1000: true, doorHeadLenMax + 8192: false} {
			q, err := http.NewRequest("GET", "http://"+at+"/", http.NoBody)
			require.NoError(t, err)
			q.Header.Set("X-Long", strings.Repeat("x", length))
			response, err := client.Do(q)
			require.Equal(t, fine, err == nil && response.StatusCode == 200, "%v %d", h2, length)
		}
		client.CloseIdleConnections()
	}
}

// TestAnAnswerThatComesEarlyClosesTheConnection: what is left of the body is no other request.
func TestAnAnswerThatComesEarlyClosesTheConnection(t *testing.T) {
	at := opened(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "early") }))
	c, err := net.Dial("tcp", at)
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 60\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(30*time.Second)))
	head := make([]byte, 17)
	_, err = io.ReadFull(c, head)
	require.NoError(t, err)
	_, _ = io.WriteString(c, "GET /smuggled HTTP/1.1\r\nHost: h\r\nX-Pad: xxxxxxxxxxxxxxxxxx\r\n\r\n")
	rest, _ := io.ReadAll(c)
	require.Contains(t, string(rest), "Connection: close")
	require.Equal(t, 0, strings.Count(string(rest), "HTTP/1.1"), "%s", rest)
}
