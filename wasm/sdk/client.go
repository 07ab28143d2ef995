package sdk

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/taucloud/tau/wasm/engine"
	"github.com/taucloud/tau/wasm/outbound"
)

// request is one of a client, and what came back.
type request struct {
	method    string
	url       string
	header    http.Header
	headerLen int
	body      []byte

	response *outbound.Response
	from     int // of the response's body was read
}

// methods are the numbers of methods; those that are "" are not sent.
var methods = []string{"", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "", ""}

// client are the functions of HTTP clients. All begin with a client and most with a request of it.
func (l *functions) client() {
	l.add("newHttpClient", "i", ErrClientNotFound, func(g guest) Errno {
		if len(g.clients) >= handlesMax {
			return ErrClientNotFound
		}
		if g.clients == nil {
			g.clients = map[uint32]map[uint32]*request{}
		}
		id := g.id()
		g.clients[id] = map[uint32]*request{}
		return g.put32(0, id)
	})
	l.add("newHttpRequest", "ii", ErrClientNotFound, func(g guest) Errno {
		client, is := g.clients[g.u32(0)]
		switch {
		case !is:
			return ErrClientNotFound
		case g.requests >= handlesMax:
			return ErrNewRequest
		}
		g.requests++
		id := g.id()
		client[id] = &request{method: http.MethodGet, header: http.Header{}}
		return g.put32(1, id)
	})
	l.fields()
	l.asked("setHttpRequestMethod", "i", func(g guest, r *request) Errno {
		if n := g.u32(2); uint64(n) >= uint64(len(methods)) || methods[n] == "" {
			return ErrInvalidMethod
		}
		r.method = methods[g.u32(2)]
		return OK
	})
	l.asked("getHttpRequestMethod", "i", func(g guest, r *request) Errno { return g.put32(2, uint32(slices.Index(methods, r.method))) })
	l.asked("setHttpRequestBody", "ii", guest.setBody)
	l.asked("setHttpRequestURL", "ii", func(g guest, r *request) Errno {
		text, e := g.text(2, urlLenMax)
		if e != OK {
			return e
		}
		g.Work(len(text))
		if _, err := url.Parse(text); err != nil {
			return ErrParseURL
		}
		r.url = text
		return OK
	})
	l.asked("doHttpRequest", "", guest.do)
	l.answered("readHttpResponseBody", "iii", guest.read)
	l.answered("closeHttpResponseBody", "", func(g guest, r *request) Errno {
		g.release(len(r.response.Body))
		r.response.Body, r.from = nil, 0
		return OK
	})
	l.answered("getHttpResponseHeaderSize", "iii", func(g guest, r *request) Errno { return g.valuesSize(r.response.Header) })
	l.answered("getHttpResponseHeader", "iii", func(g guest, r *request) Errno { return g.values(r.response.Header) })
	l.answered("getHttpResponseHeaderKeysSize", "i", func(g guest, r *request) Errno { return g.keysSize(r.response.Header) })
	l.answered("getHttpResponseHeaderKeys", "ii", func(g guest, r *request) Errno { return g.keys(r.response.Header) })
}

// fields are the functions about the fields of a request.
func (l *functions) fields() {
	l.asked("getHttpRequestHeaderSize", "iii", func(g guest, r *request) Errno { return g.valuesSize(r.header) })
	l.asked("getHttpRequestHeader", "iii", func(g guest, r *request) Errno { return g.values(r.header) })
	l.asked("getHttpRequestHeaderKeysSize", "i", func(g guest, r *request) Errno { return g.keysSize(r.header) })
	l.asked("getHttpRequestHeaderKeys", "ii", func(g guest, r *request) Errno { return g.keys(r.header) })
	l.asked("setHttpRequestHeader", "iiii", func(g guest, r *request) Errno { return g.addField(r, true) })
	l.asked("addHttpRequestHeader", "iiii", func(g guest, r *request) Errno { return g.addField(r, false) })
	l.asked("deleteHttpRequestHeader", "ii", func(g guest, r *request) Errno {
		key, e := g.text(2, nameLenMax)
		if e == OK {
			r.remove(key)
		}
		return e
	})
}

// asked adds a function about a request, whose other types of parameters are these.
func (l *functions) asked(name, types string, do func(g guest, r *request) Errno) {
	l.add(name, "ii"+types, ErrClientNotFound, func(g guest) Errno {
		client, is := g.clients[g.u32(0)]
		if !is {
			return ErrClientNotFound
		}
		r, is := client[g.u32(1)]
		if !is {
			return ErrMemory
		}
		return do(g, r)
	})
}

// answered adds one about a response.
func (l *functions) answered(name, types string, do func(g guest, r *request) Errno) {
	l.asked(name, types, func(g guest, r *request) Errno {
		if r.response == nil {
			return ErrRequestFailed
		}
		return do(g, r)
	})
}

func (r *request) remove(key string) {
	key = http.CanonicalHeaderKey(key)
	for _, v := range r.header[key] {
		r.headerLen -= len(key) + len(v)
	}
	delete(r.header, key)
}

// addField adds values to a field, in place of those that it has or behind them.
func (g guest) addField(r *request, first bool) Errno {
	key, e := g.text(2, nameLenMax)
	if e != OK {
		return e
	}
	text, e := g.text(4, fieldLenMax)
	if e != OK {
		return e
	}
	values := strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")
	key = http.CanonicalHeaderKey(key)
	g.Work(len(key) + len(text) + 64*len(r.header))
	if first {
		r.remove(key)
	}
	size, count := r.headerLen, len(values)
	for _, v := range values {
		size += len(key) + len(v)
	}
	for _, v := range r.header {
		count += len(v)
	}
	if size > fieldLenMax || count > fieldsMax {
		return ErrBufferTooSmall
	}
	r.header[key], r.headerLen = append(r.header[key], values...), size
	return OK
}

// valuesSize, values, keysSize and keys tell of fields: those of a name as a list, and the names of all.
func (g guest) valuesSize(h http.Header) Errno {
	list, e := g.listOf(h)
	if e != OK {
		return e
	}
	return g.put32(4, uint32(len(list)))
}

func (g guest) values(h http.Header) Errno {
	list, e := g.listOf(h)
	if e != OK {
		return e
	}
	return g.give(4, list)
}

func (g guest) listOf(h http.Header) (string, Errno) {
	key, e := g.text(2, nameLenMax)
	if e != OK {
		return "", e
	}
	list := listed(h.Values(key))
	g.Work(len(list))
	return list, OK
}

func (g guest) keysSize(h http.Header) Errno { return g.put32(2, uint32(len(g.namesOf(h)))) }

func (g guest) keys(h http.Header) Errno {
	names := g.namesOf(h)
	if uint64(g.u32(3)) < uint64(len(names)) {
		return ErrBufferTooSmall
	}
	return g.give(2, names)
}

func (g guest) namesOf(h http.Header) string {
	names := listed(slices.Sorted(maps.Keys(h)))
	g.Work(4 * len(names)) // they are sorted
	return names
}

// setBody takes a copy of the body: what the guest does with its memory later does not matter.
func (g guest) setBody(r *request) Errno {
	part, e := g.bytes(2, heldMax)
	if e != OK {
		return e
	}
	g.release(len(r.body))
	r.body = nil
	if !g.hold(len(part)) {
		return ErrWriteBody
	}
	r.body = slices.Clone(part)
	return OK
}

// askLen is what it costs to ask the outside, as bytes of work, also if it is refused.
const askLen = 1 << 10

// do sends a request, and waits for its response.
func (g guest) do(r *request) Errno {
	if r.response != nil {
		g.release(len(r.response.Body))
		r.response = nil
	}
	response, err := g.Send(g.Call, outbound.Request{Method: r.method, URL: r.url, Header: r.header, Body: r.body})
	if err == nil && !g.hold(len(response.Body)) {
		err = &outbound.Refusal{Text: "responses and bodies of one request are more than 8 MiB together"}
	}
	if err != nil {
		g.fails(err)
		return ErrRequestFailed
	}
	r.response, r.from = response, 0
	return OK
}

// Send sends a request of a guest's, whatever interface it has to say so, and waits for the response. The log is told why one is refused.
func (s *State) Send(c *engine.Call, r outbound.Request) (*outbound.Response, error) {
	s.outbound.Left = c.Left
	size := len(r.URL) + askLen
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	c.Work(size)
	response, err := s.outbound.Do(c.Context, r)
	guest{Call: c, State: s}.waited()
	if err != nil {
		s.note(err.Error())
	}
	return response, err
}

// fails notes why something has failed.
func (g guest) fails(err error) {
	g.failed = err.Error()
	g.note(g.failed)
}

// waited lets time pass that has passed outside, where no clock has told it.
func (g guest) waited() {
	if outside, says := g.config.Outside.(Took); says && g.World.Sleep != nil {
		g.World.Sleep(outside.Took())
	}
}

// read reads the next of a response's body.
func (g guest) read(r *request) Errno {
	part, ok := g.Memory().Read(g.u32(2), g.u32(3))
	if !ok {
		return ErrMemory
	}
	rest := r.response.Body[r.from:]
	n := copy(part, rest)
	g.Pay(uint64(n))
	if e := g.put32(4, uint32(n)); e != OK {
		return e
	}
	r.from += n
	if len(rest) == 0 && len(part) > 0 {
		return ErrEOF
	}
	return OK
}

// more is what the interface lacks: the status of a response, and why a request has failed.
func (l *functions) more() {
	l.answered("httpResponseStatus", "i", func(g guest, r *request) Errno { return g.put32(2, uint32(r.response.Status)) })
	l.add("lastErrorSize", "i", ErrClientNotFound, func(g guest) Errno { return g.put32(0, uint32(len(g.failed))) })
	l.add("lastError", "ii", ErrClientNotFound, func(g guest) Errno {
		if uint64(g.u32(1)) < uint64(len(g.failed)) {
			return ErrBufferTooSmall
		}
		return g.give(0, g.failed)
	})
}
