package sdk

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

//go:wasmimport taubyte/sdk newHttpClient
func newClient(client *uint32) uint32

//go:wasmimport taubyte/sdk newHttpRequest
func newRequest(client uint32, request *uint32) uint32

//go:wasmimport taubyte/sdk setHttpRequestMethod
func setMethod(client, request, method uint32) uint32

//go:wasmimport taubyte/sdk setHttpRequestURL
func setURL(client, request uint32, url string) uint32

//go:wasmimport taubyte/sdk setHttpRequestHeader
func setField(client, request uint32, name, values string) uint32

//go:wasmimport taubyte/sdk setHttpRequestBody
func setBody(client, request uint32, from *byte, size uint32) uint32

//go:wasmimport taubyte/sdk doHttpRequest
func do(client, request uint32) uint32

//go:wasmimport taubyte/sdk readHttpResponseBody
func readBody(client, request uint32, to *byte, size uint32, n *uint32) uint32

//go:wasmimport taubyte/sdk closeHttpResponseBody
func closeBody(client, request uint32) uint32

//go:wasmimport taubyte/sdk getHttpResponseHeaderSize
func fieldSize(client, request uint32, name string, size *uint32) uint32

//go:wasmimport taubyte/sdk getHttpResponseHeader
func field(client, request uint32, name string, to *byte) uint32

//go:wasmimport taubyte/sdk getHttpResponseHeaderKeysSize
func fieldsSize(client, request uint32, size *uint32) uint32

//go:wasmimport taubyte/sdk getHttpResponseHeaderKeys
func fields(client, request uint32, to *byte, size uint32) uint32

//go:wasmimport tau/sdk httpResponseStatus
func responseStatus(client, request uint32, status *uint32) uint32

//go:wasmimport tau/sdk lastErrorSize
func lastErrorSize(size *uint32) uint32

//go:wasmimport tau/sdk lastError
func lastError(to *byte, size uint32) uint32

// methods are the numbers of methods.
var methods = []string{"", http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodPatch}

// Transport sends requests to hosts that the function's `outbound` has. The cloud follows redirects: the response is the last
// one, and an http.Client is not asked. A context ends no request that is on its way.
type Transport struct{}

// RoundTrip implements http.RoundTripper.
func (Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var content []byte
	if r.Body != nil {
		var err error
		content, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	at := answered{}
	method := max(slices.Index(methods, strings.ToUpper(r.Method)), 0)
	if r.Method == "" {
		method = 1
	}
	e := newClient(&at.client)
	if e == 0 {
		e = newRequest(at.client, &at.request)
	}
	if e == 0 {
		e = setMethod(at.client, at.request, uint32(method))
	}
	if e == 0 {
		e = setURL(at.client, at.request, r.URL.String())
	}
	for name, values := range r.Header {
		if e == 0 {
			e = setField(at.client, at.request, name, strings.Join(values, "\x00")+"\x00")
		}
	}
	if e == 0 && len(content) > 0 {
		e = setBody(at.client, at.request, &content[0], uint32(len(content)))
	}
	if e != 0 {
		return nil, fmt.Errorf("sdk: the request to %s cannot be sent (error %d)", r.URL.Host, e)
	}
	if e = do(at.client, at.request); e != 0 {
		return nil, why(e)
	}
	return at.response(r)
}

// why is why the last request has failed.
func why(e uint32) error {
	var size uint32
	if lastErrorSize(&size) == 0 && size > 0 {
		text := make([]byte, size)
		if lastError(&text[0], size) == 0 {
			return errors.New(string(text))
		}
	}
	return fmt.Errorf("sdk: the request failed (error %d)", e)
}

// answered is a request that was answered; it is the body of the response.
type answered struct{ client, request uint32 }

func (a answered) response(r *http.Request) (*http.Response, error) {
	var status uint32
	if e := responseStatus(a.client, a.request, &status); e != 0 {
		return nil, why(e)
	}
	response := &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(int(status))), StatusCode: int(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: a, ContentLength: -1, Request: r,
	}
	var size uint32
	if fieldsSize(a.client, a.request, &size) != 0 || size == 0 {
		return response, nil
	}
	names := make([]byte, size)
	if e := fields(a.client, a.request, &names[0], size); e != 0 {
		return nil, why(e)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		if fieldSize(a.client, a.request, name, &size) != 0 || size == 0 {
			continue
		}
		values := make([]byte, size)
		if field(a.client, a.request, name, &values[0]) == 0 {
			response.Header[name] = strings.Split(strings.TrimSuffix(string(values), "\x00"), "\x00")
		}
	}
	return response, nil
}

// Read implements io.Reader.
func (a answered) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	var n uint32
	switch e := readBody(a.client, a.request, &p[0], uint32(len(p)), &n); e {
	case 0:
		return int(n), nil
	case eof:
		return int(n), io.EOF
	default:
		return int(n), why(e)
	}
}

// Close implements io.Closer.
func (a answered) Close() error {
	closeBody(a.client, a.request)
	return nil
}
