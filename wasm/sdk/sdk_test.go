package sdk_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/wasm/engine"
	"github.com/taucloud/tau/wasm/outbound"
	"github.com/taucloud/tau/wasm/sdk"
	"github.com/taucloud/tau/wasm/sdk/sdktest"
)

// holder is the value of a request.
type holder struct{ state *sdk.State }

func (h holder) SDK() *sdk.State { return h.state }

// far is an outside with one host.
type far struct{ sent []string }

func (*far) Within(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
	return ctx, func() {}
}

func (*far) Addresses(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
}

func (*far) Records(_ context.Context, kind outbound.Kind, _ string) ([]string, error) {
	if kind == outbound.MX {
		return []string{"mail.example.com. 10", "post.example.com. 20"}, nil
	}
	return []string{"one", "two"}, nil
}

func (f *far) Send(_ netip.AddrPort, r *http.Request, _ int64) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	f.sent = append(f.sent, fmt.Sprintf("%s %s %s %v", r.Method, r.URL, body, r.Header["X-Own"]))
	if r.URL.Path == "/long" {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(strings.Repeat("x", 4<<20)))}, nil
	}
	return &http.Response{StatusCode: 201, Header: http.Header{"X-Theirs": {"a", "b"}, "Content-Type": {"text/plain"}}, Body: io.NopCloser(strings.NewReader("hello"))}, nil
}

// writer is what a guest has in its memory, and where the next of it comes.
type writer struct {
	*sdktest.Guest
	*testing.T
	at uint32
}

// put writes a text into the guest's memory and returns pointer and length.
func (w *writer) put(text string) (at, size uint64) {
	at = uint64(w.at)
	require.True(w, w.Memory().WriteString(w.at, text))
	w.at += uint32(len(text))
	return at, uint64(len(text))
}

// is calls a function, whose result must be this.
func (w *writer) is(want sdk.Errno, name string, args ...uint64) {
	w.Helper()
	got, goesOn := w.Call(name, args...)
	require.True(w, goesOn, name)
	require.Equal(w, want, got, name)
}

func (w *writer) u32(at uint64) uint32 {
	v, ok := w.Memory().ReadUint32Le(uint32(at))
	require.True(w, ok)
	return v
}

func (w *writer) text(at uint64, size uint32) string {
	part, ok := w.Memory().Read(uint32(at), size)
	require.True(w, ok)
	return string(part)
}

// Where guests of these tests have results: far behind what put writes.
const (
	out  = 60_000
	out2 = 60_008
	big  = 100_000
)

func play(t *testing.T, c sdk.Config, script func(w *writer)) {
	t.Helper()
	s := sdktest.New(t, 200, engine.Options{Rand: bytes.NewReader(bytes.Repeat([]byte{7}, 1<<20))}, sdk.Hosts()...)
	require.NoError(t, s.Play(holder{sdk.New(c)}, func(g *sdktest.Guest) { script(&writer{g, t, 16}) }))
}

func config(t *testing.T) (c sdk.Config, f *far, log *bytes.Buffer) {
	allow, err := outbound.Parse([]string{"*.example.com", "93.184.216.34"})
	require.NoError(t, err)
	f, log = &far{}, &bytes.Buffer{}
	return sdk.Config{Self: sdk.Self{Project: "p", Application: "", Function: "f", Commit: "c0ffee", Branch: "main"}, Outside: f, Allow: allow, Log: log}, f, log
}

// TestSelf: a function knows what it is of, and random numbers are drawn.
func TestSelf(t *testing.T) {
	c, _, _ := config(t)
	play(t, c, func(w *writer) {
		for name, want := range map[string]string{"selfProject": "p", "selfApplication": "", "selfId": "f", "selfCommit": "c0ffee", "selfBranch": "main"} {
			w.is(sdk.OK, name+"Size", out)
			require.Equal(t, uint32(len(want)), w.u32(out))
			w.is(sdk.OK, name, big)
			require.Equal(t, want, w.text(big, uint32(len(want))))
		}
		w.is(sdk.OK, "cryptoRead", big, 16, out)
		require.Equal(t, strings.Repeat("\x07", 16), w.text(big, 16))
		require.Equal(t, uint32(16), w.u32(out))
	})
}

// TestMemory: parts of memory and queues go by numbers, which are of one call.
func TestMemory(t *testing.T) {
	c, _, _ := config(t)
	play(t, c, func(w *writer) {
		at, size := w.put("some memory")
		w.is(sdk.OK, "memoryViewNew", at, size, 1, out)
		id := uint64(w.u32(out))
		w.is(sdk.OK, "memoryViewOpen", id, out, out2)
		require.Equal(t, []uint32{1, 11}, []uint32{w.u32(out), w.u32(out2)})
		w.is(sdk.OK, "memoryViewRead", id, 5, 100, big, out)
		require.Equal(t, "memory", w.text(big, w.u32(out)))
		w.is(sdk.OK, "memoryViewRead", id, 5, ^uint64(0), at+1, out) // onto itself
		require.Equal(t, "smemorymory", w.text(at, 11))
		w.is(sdk.ErrMemory, "memoryViewRead", id, 11, 1, big, out)
		w.is(sdk.ErrInvalidBool, "memoryViewNew", at, size, 2, out)
		w.is(sdk.OK, "memoryViewClose", id)
		w.is(sdk.ErrViewNotFound, "memoryViewOpen", id, out, out2)
		q, _ := w.Call("fifoNew", 1)
		w.is(sdk.OK, "fifoIsCloser", uint64(q), out)
		require.Equal(t, uint32(1), w.u32(out))
		for _, b := range []byte("abc") {
			w.is(sdk.OK, "fifoPush", uint64(q), uint64(b)|0xff00)
		}
		w.is(sdk.ErrMemory, "fifoPop", uint64(q), 0xffffffff)
		for _, b := range []byte("abc") {
			w.is(sdk.OK, "fifoPop", uint64(q), out)
			require.Equal(t, string(b), w.text(out, 1))
		}
		w.is(sdk.ErrEOF, "fifoPop", uint64(q), out)
		w.is(sdk.OK, "fifoClose", uint64(q))
		w.is(sdk.ErrFifoNotFound, "fifoPush", uint64(q), 1)
		for range 100 {
			_, _ = w.Call("fifoNew", 0)
		}
		none, _ := w.Call("fifoNew", 0)
		require.Zero(t, none, "queues are bounded")
	})
}

// TestClient: a request is sent and its response read, as the SDK for Go does it.
func TestClient(t *testing.T) {
	c, f, log := config(t)
	play(t, c, func(w *writer) {
		w.is(sdk.OK, "newHttpClient", out)
		client := uint64(w.u32(out))
		w.is(sdk.OK, "newHttpRequest", client, out)
		r := uint64(w.u32(out))
		at, size := w.put("http://api.example.com/path")
		w.is(sdk.OK, "setHttpRequestURL", client, r, at, size)
		w.is(sdk.OK, "getHttpRequestMethod", client, r, out)
		require.Equal(t, uint32(1), w.u32(out))
		w.is(sdk.OK, "setHttpRequestMethod", client, r, 2)
		w.is(sdk.ErrInvalidMethod, "setHttpRequestMethod", client, r, 9)
		key, keyLen := w.put("x-own")
		v, vLen := w.put("1\x002\x00")
		w.is(sdk.OK, "setHttpRequestHeader", client, r, key, keyLen, v, vLen)
		v, vLen = w.put("3")
		w.is(sdk.OK, "addHttpRequestHeader", client, r, key, keyLen, v, vLen)
		w.is(sdk.OK, "getHttpRequestHeaderSize", client, r, key, keyLen, out)
		w.is(sdk.OK, "getHttpRequestHeader", client, r, key, keyLen, big)
		require.Equal(t, "1\x002\x003\x00", w.text(big, w.u32(out)))
		other, otherLen := w.put("x-gone")
		w.is(sdk.OK, "addHttpRequestHeader", client, r, other, otherLen, v, vLen)
		w.is(sdk.OK, "deleteHttpRequestHeader", client, r, other, otherLen)
		w.is(sdk.OK, "getHttpRequestHeaderKeysSize", client, r, out)
		w.is(sdk.OK, "getHttpRequestHeaderKeys", client, r, big, uint64(w.u32(out)))
		require.Equal(t, "X-Own\x00", w.text(big, w.u32(out)))
		body, bodyLen := w.put("body")
		w.is(sdk.OK, "setHttpRequestBody", client, r, body, bodyLen)
		require.True(t, w.Memory().WriteString(uint32(body), "gone"), "the body was copied")
		w.is(sdk.ErrRequestFailed, "readHttpResponseBody", client, r, big, 100, out)
		w.is(sdk.OK, "doHttpRequest", client, r)
		require.Equal(t, []string{"POST http://api.example.com/path body [1 2 3]"}, f.sent)
		w.is(sdk.OK, "httpResponseStatus", client, r, out)
		require.Equal(t, uint32(201), w.u32(out))
		theirs, theirsLen := w.put("X-Theirs")
		w.is(sdk.OK, "getHttpResponseHeaderSize", client, r, theirs, theirsLen, out)
		w.is(sdk.OK, "getHttpResponseHeader", client, r, theirs, theirsLen, big)
		require.Equal(t, "a\x00b\x00", w.text(big, w.u32(out)))
		w.is(sdk.OK, "getHttpResponseHeaderKeysSize", client, r, out)
		w.is(sdk.ErrBufferTooSmall, "getHttpResponseHeaderKeys", client, r, big, uint64(w.u32(out))-1)
		w.is(sdk.OK, "getHttpResponseHeaderKeys", client, r, big, uint64(w.u32(out)))
		require.Equal(t, "Content-Type\x00X-Theirs\x00", w.text(big, w.u32(out)))
		read := ""
		for {
			e, _ := w.Call("readHttpResponseBody", client, r, big, 3, out)
			read += w.text(big, w.u32(out))
			if e != sdk.OK {
				require.Equal(t, sdk.ErrEOF, e)
				break
			}
		}
		require.Equal(t, "hello", read)
		w.is(sdk.OK, "closeHttpResponseBody", client, r)
		w.is(sdk.ErrEOF, "readHttpResponseBody", client, r, big, 3, out)
		at, size = w.put("http://evil.example.net/")
		w.is(sdk.OK, "setHttpRequestURL", client, r, at, size)
		w.is(sdk.ErrRequestFailed, "doHttpRequest", client, r)
		w.is(sdk.ErrRequestFailed, "httpResponseStatus", client, r, out)
		w.is(sdk.OK, "lastErrorSize", out)
		w.is(sdk.OK, "lastError", big, 200)
		require.Equal(t, "outbound: evil.example.net at port 80 is not in the function's list of outbound hosts", w.text(big, w.u32(out)))
		require.Len(t, f.sent, 1)
	})
	require.Equal(t, "[tau] outbound: evil.example.net at port 80 is not in the function's list of outbound hosts\n", log.String())
}

// TestNames: records of names that are allowed.
func TestNames(t *testing.T) {
	c, _, log := config(t)
	play(t, c, func(w *writer) {
		w.is(sdk.OK, "dnsNewResolver", out)
		r := uint64(w.u32(out))
		name, size := w.put("api.example.com")
		w.is(sdk.ErrLookupTXT, "dnsLookupTxT", r, name, size, big)
		for function, want := range map[string]string{"dnsLookupTxT": "one\x00two\x00", "dnsLookupMX": "mail.example.com./10/\x00post.example.com./20/\x00", "dnsLookupCNAME": "onetwo"} {
			w.is(sdk.OK, function+"Size", r, name, size, out)
			w.is(sdk.OK, function, r, name, size, big)
			require.Equal(t, want, w.text(big, w.u32(out)))
		}
		name, size = w.put("93.184.216.34")
		w.is(sdk.OK, "dnsLookupAddressSize", r, name, size, out)
		name, size = w.put("10.0.0.1")
		w.is(sdk.ErrLookupAddress, "dnsLookupAddressSize", r, name, size, out)
		w.is(sdk.ErrResolverNotFound, "dnsRerouteResolver", r, name, size, name, size)
		w.is(sdk.OK, "dnsResetResolver", r)
		w.is(sdk.ErrResolverNotFound, "dnsResetResolver", r+1)
	})
	require.Contains(t, log.String(), "other name servers")
}

// TestAbsent: what there is not yet says so by the errors of its SDK, once in the log.
func TestAbsent(t *testing.T) {
	c, _, log := config(t)
	play(t, c, func(w *writer) {
		for range 3 {
			w.is(22, "newDatabase", 0, 0, 0)
		}
		w.is(22, "getGlobalValueSize", 0, 0, 0, 0, 0)
		w.is(21, "publishToChannel", 0, 0, 0, 0)
		w.is(92, "storageGet", 0, 0, 0)
		w.is(96, "contentSeekFile", 0, 1<<40, 0, 0)
		w.is(51, "ethNew", 0, 0, 0, 0, 0)
	})
	require.Equal(t, 1, strings.Count(log.String(), "newDatabase: there are no databases yet"))
	require.Contains(t, log.String(), "getGlobalValueSize: there are no globals yet")
}

// TestHeldIsBounded: however a guest goes about it, it makes its host keep no more than a bound.
func TestHeldIsBounded(t *testing.T) {
	c, _, log := config(t)
	play(t, c, func(w *writer) {
		w.is(sdk.OK, "newHttpClient", out)
		client := uint64(w.u32(out))
		at, size := w.put("http://api.example.com/long")
		answers, made := map[uint32]int{}, 0
		for range 200 {
			if e, _ := w.Call("newHttpRequest", client, out); e != sdk.OK {
				require.Equal(t, sdk.ErrNewRequest, e)
				continue
			}
			made++
			r := uint64(w.u32(out))
			w.is(sdk.OK, "setHttpRequestURL", client, r, at, size)
			e, _ := w.Call("doHttpRequest", client, r)
			answers[e]++
			e, _ = w.Call("setHttpRequestBody", client, r, big, 4<<20)
			answers[1000+e]++
		}
		require.Equal(t, 64, made, "requests of all clients together")
		require.Equal(t, 2, answers[sdk.OK]+answers[1000+sdk.OK], "8 MiB are two times 4")
		require.NotZero(t, answers[1000+sdk.ErrWriteBody])
		long, longLen := w.put(strings.Repeat("k", 1000))
		fields := 0
		for i := range 500 {
			name, nameLen := w.put(fmt.Sprintf("X-%d", i))
			if e, _ := w.Call("addHttpRequestHeader", client, client+1, name, nameLen, long, longLen); e == sdk.OK {
				fields++
			}
		}
		require.Less(t, fields, 17)
		for range 1000 {
			_, _ = w.Call("newHttpClient", out)
			_, _ = w.Call("memoryViewNew", 0, 1, 0, out)
			_, _ = w.Call("dnsNewResolver", out)
		}
		w.is(sdk.ErrClientNotFound, "newHttpClient", out)
		w.is(sdk.ErrViewNotFound, "memoryViewNew", 0, 1, 0, out)
		w.is(sdk.ErrResolverNotFound, "dnsNewResolver", out)
	})
	require.Contains(t, log.String(), "more than 16 calls for one request")
	require.Less(t, log.Len(), 4<<10)
}

// TestWhatIsTakenIsReleased: a queue that is emptied has room again, of which little is left here.
func TestWhatIsTakenIsReleased(t *testing.T) {
	c, _, _ := config(t)
	play(t, c, func(w *writer) {
		w.is(sdk.OK, "newHttpClient", out)
		client := uint64(w.u32(out))
		for _, size := range []uint64{4 << 20, 4<<20 - 10} {
			w.is(sdk.OK, "newHttpRequest", client, out)
			w.is(sdk.OK, "setHttpRequestBody", client, uint64(w.u32(out)), big, size)
		}
		queue, _ := w.Call("fifoNew", 0)
		for range 100 {
			w.is(sdk.OK, "fifoPush", uint64(queue), 7)
			w.is(sdk.OK, "fifoPop", uint64(queue), out)
		}
		for range 10 {
			w.is(sdk.OK, "fifoPush", uint64(queue), 7)
		}
		w.is(sdk.ErrBufferTooSmall, "fifoPush", uint64(queue), 7)
		_, _ = w.Call("fifoClose", uint64(queue))
		queue, _ = w.Call("fifoNew", 0)
		w.is(sdk.OK, "fifoPush", uint64(queue), 7)
	})
}

// TestWorkIsPaid: what a host does for a guest costs the guest, so that it cannot have it work without an end.
func TestWorkIsPaid(t *testing.T) {
	c, _, _ := config(t)
	play(t, c, func(w *writer) {
		w.is(sdk.OK, "newHttpClient", out)
		client := uint64(w.u32(out))
		w.is(sdk.OK, "newHttpRequest", client, out)
		r := uint64(w.u32(out))
		costs := func(least uint64, name string, args ...uint64) {
			before := w.Spent()
			_, goesOn := w.Call(name, args...)
			require.True(w, goesOn)
			require.GreaterOrEqual(t, w.Spent()-before, least, name)
		}
		at, size := w.put("http://api.example.com/" + strings.Repeat("x", 8000))
		costs(32*8000, "setHttpRequestURL", client, r, at, size)
		name, nameLen := w.put(strings.Repeat("n", 1000))
		v, vLen := w.put(strings.Repeat("v", 15_000))
		costs(32*15_000, "addHttpRequestHeader", client, r, name, nameLen, v, vLen)
		costs(32*4*1000, "getHttpRequestHeaderKeysSize", client, r, out)
		costs(32*15_000, "getHttpRequestHeaderSize", client, r, name, nameLen, out)
		at, size = w.put("http://evil.example.net/")
		w.is(sdk.OK, "setHttpRequestURL", client, r, at, size)
		costs(32*1000, "doHttpRequest", client, r)
	})
}

// TestHandlesAreOfOneCall: a number that another call was given, also one of the same guest, opens nothing.
func TestHandlesAreOfOneCall(t *testing.T) {
	c, _, _ := config(t)
	s := sdktest.New(t, 2, engine.Options{}, sdk.Hosts()...)
	open := func(w *writer) {
		w.is(sdk.OK, "newHttpClient", out)
		w.is(sdk.OK, "newHttpRequest", uint64(w.u32(out)), out)
		w.is(sdk.OK, "dnsNewResolver", out)
		w.is(sdk.OK, "memoryViewNew", 0, 100, 1, out)
		_, _ = w.Call("fifoNew", 1)
	}
	require.NoError(t, s.Play(holder{sdk.New(c)}, func(g *sdktest.Guest) { open(&writer{g, t, 16}) }))
	require.NoError(t, s.Play(holder{sdk.New(c)}, func(g *sdktest.Guest) {
		w := &writer{g, t, 16}
		for id := range uint64(20) {
			w.is(sdk.ErrClientNotFound, "newHttpRequest", id, out)
			w.is(sdk.ErrClientNotFound, "doHttpRequest", id, id+1)
			w.is(sdk.ErrResolverNotFound, "dnsResetResolver", id)
			w.is(sdk.ErrViewNotFound, "memoryViewOpen", id, out, out2)
			w.is(sdk.ErrFifoNotFound, "fifoPush", id, 1)
		}
		open(w)
		require.Equal(t, uint32(4), w.u32(out), "numbers begin anew: they tell nothing of other calls")
	}))
	// A guest that is only being started has nothing open.
	require.NoError(t, s.Play(nil, func(g *sdktest.Guest) {
		w := &writer{g, t, 16}
		w.is(sdk.ErrClientNotFound, "newHttpClient", out)
		w.is(sdk.ErrEventNotFound, "selfProjectSize", out)
		w.is(sdk.OK, "cryptoRead", big, 8, out)
	}))
}

// hostile are numbers of pointers, lengths and handles that make no sense, and some that do.
var hostile = []uint64{0, 1, 2, 15, 16, 65_535, 65_536, 131_071, 131_072, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff, 0xffffffff_00000010}

// TestHostileParameters: each function is called with pointers to where there is no memory, lengths beyond it, values that overlap and
// handles that there are not. It answers, and the host lives.
func TestHostileParameters(t *testing.T) {
	c, _, _ := config(t)
	sdktest.Hostile(t, hostile, engine.Options{Rand: strings.NewReader(strings.Repeat("r", 64<<20))}, func() any { return holder{sdk.New(c)} }, sdk.Hosts()...)
}

// FuzzFunctions calls any sequence of functions with any parameters.
func FuzzFunctions(f *testing.F) {
	f.Add([]byte{10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13})
	allow, err := outbound.Parse([]string{"*"})
	require.NoError(f, err)
	s := sdktest.New(f, 2, engine.Options{}, sdk.Hosts()...)
	f.Fuzz(func(t *testing.T, program []byte) {
		_ = s.Play(holder{sdk.New(sdk.Config{Outside: &far{}, Allow: allow, Log: io.Discard})}, func(g *sdktest.Guest) {
			take := func() byte {
				if len(program) == 0 {
					return 0
				}
				b := program[0]
				program = program[1:]
				return b
			}
			for range 64 {
				if len(program) == 0 {
					return
				}
				h := s.Functions()[int(take())%len(s.Functions())]
				args := make([]uint64, len(h.Params))
				for i := range args {
					switch b := take(); {
					case b < 128: // handles, small lengths
						args[i] = uint64(b)
					case b < 240:
						args[i] = uint64(binary.LittleEndian.Uint16([]byte{take(), take()}))
					default:
						args[i] = hostile[int(b)%len(hostile)]
					}
				}
				if _, goesOn := g.Call(sdktest.Base(h.Name), args...); !goesOn {
					return
				}
			}
		})
	})
}
