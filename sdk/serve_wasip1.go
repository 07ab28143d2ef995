package sdk

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"unsafe"
)

//go:wasmimport tau/sdk httpEventHeadSize
func eventHeadSize(event uint32, size *uint32) uint32

//go:wasmimport tau/sdk httpEventHead
func eventHead(event uint32, to *byte, size uint32) uint32

//go:wasmimport taubyte/sdk readHttpEventBody
func eventRead(event uint32, to *byte, size uint32, n *uint32) uint32

//go:wasmimport taubyte/sdk eventHttpWrite
func eventWrite(event uint32, from *byte, size uint32, n *uint32) uint32

//go:wasmimport taubyte/sdk eventHttpRetCode
func eventStatus(event, status uint32) uint32

//go:wasmimport taubyte/sdk eventHttpHeaderAdd
func eventField(event uint32, name, value string) uint32

//go:wasmimport taubyte/sdk eventHttpFlush
func eventFlush(event uint32) uint32

// eof is the error of a body that has ended.
const eof = 8

// serve is what projects call.
//
//go:wasmexport serve
func serve(event uint32) uint32 { return Serve(event, Mux) }

// warm is called once before the state that all requests begin with is kept: what the library makes when it is first used is there then.
//
//go:wasmexport warm
func warm() {
	if r, err := parse("GET /?a=b HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nUser-Agent: a\r\nX-Request-Id: a\r\n\r\n"); err == nil {
		_, _ = Mux.Handler(r)
		_ = r.URL.Query()
	}
}

// Serve answers the request of an event with a handler. It is for functions that are exported by names of their own:
//
//	//go:wasmexport hello
//	func hello(event uint32) uint32 { return sdk.Serve(event, handler) }
func Serve(event uint32, h http.Handler) uint32 {
	r, err := request(event)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		eventStatus(event, http.StatusInternalServerError)
		return 1
	}
	w := &response{event: event, header: http.Header{}}
	defer w.recovers()
	h.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK)
	return 0
}

func request(event uint32) (*http.Request, error) {
	var size uint32
	if e := eventHeadSize(event, &size); e != 0 || size == 0 {
		return nil, fmt.Errorf("sdk: there is no request (error %d)", e)
	}
	head := make([]byte, size)
	if e := eventHead(event, &head[0], size); e != 0 {
		return nil, fmt.Errorf("sdk: the request cannot be read (error %d)", e)
	}
	r, err := parse(string(head))
	if err != nil {
		return nil, err
	}
	if r.ContentLength != 0 {
		r.Body = body(event)
	}
	return r, nil
}

// parse reads the head of a request, of which the cloud has seen to it that it is one. Names of fields are in their canonical form.
func parse(head string) (*http.Request, error) {
	first, head, _ := strings.Cut(head, "\r\n")
	method, rest, _ := strings.Cut(first, " ")
	uri, _, _ := strings.Cut(rest, " ")
	to, err := url.ParseRequestURI(uri)
	if err != nil {
		return nil, fmt.Errorf("sdk: the request: %w", err)
	}
	r := &http.Request{Method: method, URL: to, RequestURI: uri, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header, 16), Body: http.NoBody, ContentLength: -1}
	for line := range strings.SplitSeq(head, "\r\n") {
		name, value, is := strings.Cut(line, ": ")
		switch {
		case !is:
		case name == "Host":
			r.Host = value
		case name == "Content-Length":
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				r.ContentLength = n
			}
			r.Header[name] = append(r.Header[name], value)
		default:
			r.Header[name] = append(r.Header[name], value)
		}
	}
	return r, nil
}

// body is that of a request.
type body uint32

func (b body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	var n uint32
	switch e := eventRead(uint32(b), &p[0], uint32(len(p)), &n); e {
	case 0:
		return int(n), nil
	case eof:
		return int(n), io.EOF
	default:
		return int(n), fmt.Errorf("sdk: the body of the request (error %d)", e)
	}
}

func (body) Close() error { return nil }

// response is an http.ResponseWriter and an http.Flusher.
type response struct {
	event  uint32
	header http.Header
	begun  bool
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.begun || status < http.StatusOK {
		return
	}
	w.begun = true
	for name, values := range w.header {
		for _, v := range values {
			if e := eventField(w.event, name, v); e != 0 {
				fmt.Fprintf(os.Stderr, "sdk: the field %s cannot be sent (error %d)\n", name, e)
			}
		}
	}
	if e := eventStatus(w.event, uint32(status)); e != 0 {
		fmt.Fprintf(os.Stderr, "sdk: %d is no status\n", status)
	}
}

var errWrite = errors.New("sdk: the answer cannot be written")

func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if len(p) == 0 {
		return 0, nil
	}
	var n uint32
	if e := eventWrite(w.event, &p[0], uint32(len(p)), &n); e != 0 {
		return int(n), errWrite
	}
	return int(n), nil
}

func (w *response) WriteString(s string) (int, error) {
	return w.Write(unsafe.Slice(unsafe.StringData(s), len(s)))
}

func (w *response) Flush() {
	w.WriteHeader(http.StatusOK)
	eventFlush(w.event)
}

// recovers answers for a handler that has panicked: with 500, or, when some of an answer was written, by ending it where it is.
func (w *response) recovers() {
	cause := recover()
	if cause == nil {
		return
	}
	if cause != http.ErrAbortHandler {
		fmt.Fprintf(os.Stderr, "panic: %v\n%s", cause, debug.Stack())
	}
	if w.begun {
		os.Exit(2)
	}
	clear(w.header)
	http.Error(w, "500 Internal Server Error", http.StatusInternalServerError)
}
