package web

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taucloud/tau/wasm/engine"
	"github.com/taucloud/tau/wasm/js"
	"github.com/taucloud/tau/wasm/sdk"
	"github.com/tetratelabs/wazero/api"
)

// Errors of the functions.
const (
	ok      = sdk.OK
	errID   = sdk.ErrEventNotFound
	errMem  = sdk.ErrMemory
	errEOF  = sdk.ErrEOF // no more of the body
	errSize = sdk.ErrBufferTooSmall
	errWhat = sdk.ErrWrite // it makes no sense
)

// eventHTTP is the type of an event that is a request.
const eventHTTP = 1

// event is a request as a guest sees it. It has the number 0.
type event struct {
	sdk      sdk.Config
	state    *sdk.State
	request  *http.Request
	log      io.Writer
	used     bool
	response answer

	// What follows a guest and the task that serves it have in turns, see flow.go.
	on       *coroutine
	call     *engine.Call
	stop     error  // why the guest ends
	head     []byte // of standard output, until it is whole
	headed   bool
	input    []byte // what has come of the body
	inputEnd error  // what comes after it
	buffer   []byte
	first    [512]byte    // of the body of the answer, so that a short one has no buffer of its own
	script   *js.Exchange // nil if the function is no bundle
}

// SDK implements sdk.Holder: what a guest opens is of its request alone.
func (e *event) SDK() *sdk.State {
	if e.state == nil {
		e.sdk.Log = e.log
		e.sdk.Loop = strings.Join(e.request.Header.Values("Cdn-Loop"), ", ")
		e.state = sdk.New(e.sdk)
	}
	return e.state
}

func (e *event) answer() answer {
	if e.response.status == 0 {
		e.response.status = http.StatusOK
	}
	return e.response
}

// guest is what a function of the host has: a call, its parameters, and the event.
type guest struct {
	*engine.Call
	event *event
	stack []uint64
}

func (g guest) u32(i int) uint32 { return uint32(g.stack[i]) }

// text reads a string: a pointer and a length.
func (g guest) text(i int) (string, bool) {
	part, ok := g.Memory().Read(g.u32(i), g.u32(i+1))
	g.Pay(uint64(len(part)))
	return string(part), ok
}

func (g guest) put32(at int, v uint32) uint32 {
	if !g.Memory().WriteUint32Le(g.u32(at), v) {
		return errMem
	}
	return ok
}

// give writes a value into a buffer of so many bytes, and at most its own length where the guest has asked for that before.
func (g guest) give(at int, size uint32, value string) uint32 {
	if uint64(size) < uint64(len(value)) {
		return errSize
	}
	g.Pay(uint64(len(value)))
	if !g.Memory().WriteString(g.u32(at), value) {
		return errMem
	}
	return ok
}

// keys is a list of names as guests read it: each with a zero behind it.
func keys(names []string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(n)
		b.WriteByte(0)
	}
	return b.String()
}

const i32, i64 = api.ValueTypeI32, api.ValueTypeI64

// Events are the modules by which a function with a parameter asks about its request and answers it: of taubyte/sdk what is about HTTP events (the rest
// is package sdk's), and of env _ready, _sleep and _log.
func Events() []engine.Host {
	var s about
	s.asking()
	s.answering()
	s.functions = append(s.functions, engine.HostFunction{Name: "getEventType", Params: []api.ValueType{i32, i32}, Call: eventType})
	own := about{}
	own.value("httpEventHead", head)
	return []engine.Host{{Module: sdk.Module, Functions: s.functions}, {Module: sdk.Own, Functions: own.functions}, {Module: "env", Functions: []engine.HostFunction{
		{Name: "_ready", Call: func(*engine.Call, []uint64) {}},
		{Name: "_sleep", Params: []api.ValueType{i64}, Call: func(c *engine.Call, stack []uint64) {
			if c.World.Sleep != nil && int64(stack[0]) > 0 {
				c.World.Sleep(time.Duration(stack[0]))
			}
		}},
		{Name: "_log", Params: []api.ValueType{i32, i32}, Call: func(c *engine.Call, stack []uint64) {
			if text, readable := (guest{Call: c, stack: stack}).text(0); readable {
				_, _ = io.WriteString(c.World.Stderr, text+"\n")
			}
		}},
	}}}
}

// head is that of a request as HTTP/1.1 writes it, to be had at once; of its body it says nothing but the length, if that is known.
func head(r *http.Request) string {
	var b strings.Builder
	uri := r.RequestURI
	if uri == "" {
		uri = r.URL.RequestURI()
	}
	b.WriteString(r.Method + " " + uri + " HTTP/1.1\r\nHost: " + r.Host + "\r\n")
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, v := range r.Header[name] {
			b.WriteString(name + ": " + v + "\r\n")
		}
	}
	if r.ContentLength >= 0 && r.Header.Get("Content-Length") == "" {
		b.WriteString("Content-Length: " + strconv.FormatInt(r.ContentLength, 10) + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

// about collects the functions about an event.
type about struct{ functions []engine.HostFunction }

// add adds one whose first parameter is the event.
func (s *about) add(name string, do func(g guest) uint32, params ...api.ValueType) {
	s.functions = append(s.functions, engine.HostFunction{Name: name, Params: params, Results: []api.ValueType{i32}, Call: func(c *engine.Call, stack []uint64) {
		e, is := c.Request.Value.(*event)
		if uint32(stack[0]) != 0 || !is {
			stack[0] = uint64(errID)
			return
		}
		e.used = true
		stack[0] = uint64(do(guest{c, e, stack}))
	}})
}

// value adds two functions: how long a value is, and the value.
func (s *about) value(name string, of func(r *http.Request) string) {
	value := func(g guest) string {
		v := of(g.event.request)
		g.Work(len(v))
		return v
	}
	s.add(name+"Size", func(g guest) uint32 { return g.put32(1, uint32(len(value(g)))) }, i32, i32)
	s.add(name, func(g guest) uint32 { return g.give(1, g.u32(2), value(g)) }, i32, i32, i32)
}

// named adds the same for a value that a key says; it is empty if there is none.
func (s *about) named(name string, of func(r *http.Request, key string) string) {
	find := func(g guest, at int) (string, uint32) {
		key, readable := g.text(at)
		if !readable {
			return "", errMem
		}
		g.Work(len(g.event.request.URL.RawQuery))
		return of(g.event.request, key), ok
	}
	s.add(name+"Size", func(g guest) uint32 {
		v, e := find(g, 2)
		if e != ok {
			return e
		}
		return g.put32(1, uint32(len(v)))
	}, i32, i32, i32, i32)
	s.add(name, func(g guest) uint32 {
		v, e := find(g, 1)
		if e != ok {
			return e
		}
		return g.give(3, g.u32(4), v)
	}, i32, i32, i32, i32, i32)
}

// listed adds the same for names; the guest has asked before how long they are. What some say of the size of their buffer, others do not.
func (s *about) listed(name string, of func(r *http.Request) []string, more ...api.ValueType) {
	list := func(g guest) string {
		v := keys(of(g.event.request))
		g.Work(len(g.event.request.URL.RawQuery) + 4*len(v)) // they are sorted
		return v
	}
	s.add(name+"Size", func(g guest) uint32 { return g.put32(1, uint32(len(list(g)))) }, i32, i32)
	s.add(name, func(g guest) uint32 { return g.give(1, ^uint32(0), list(g)) }, append([]api.ValueType{i32, i32}, more...)...)
}

// asking are the functions about the request.
func (s *about) asking() {
	s.value("getHttpEventMethod", func(r *http.Request) string { return r.Method })
	s.value("getHttpEventHost", func(r *http.Request) string { return r.Host })
	s.value("getHttpEventPath", func(r *http.Request) string { return r.URL.Path })
	s.value("getHttpEventUserAgent", (*http.Request).UserAgent)
	s.named("getHttpEventQueryValueByName", func(r *http.Request, key string) string { return r.URL.Query().Get(key) })
	s.named("getHttpEventHeaders", func(r *http.Request, key string) string { return strings.Join(r.Header.Values(key), ", ") })
	fields := func(r *http.Request) []string { return slices.Sorted(maps.Keys(r.Header)) }
	s.listed("getHttpEventRequestQueryKeys", func(r *http.Request) []string { return slices.Sorted(maps.Keys(r.URL.Query())) })
	s.listed("getHttpEventRequestHeaderKeys", fields, i32)
	s.listed("getHttpEventHeaderVarNameById", fields) // the same, in the SDK for Go
	s.add("readHttpEventBody", func(g guest) uint32 {
		part, readable := g.Memory().Read(g.u32(1), g.u32(2))
		if !readable {
			return errMem
		}
		n := 0
		if len(part) > 0 {
			n, _ = g.event.Read(part)
		}
		g.Pay(uint64(n))
		if e := g.put32(3, uint32(n)); e != ok {
			return e
		}
		if n == 0 && len(part) > 0 {
			return errEOF
		}
		return ok
	}, i32, i32, i32, i32)
	s.add("closeHttpEventBody", func(g guest) uint32 { g.event.input, g.event.inputEnd = nil, io.EOF; return ok }, i32)
}

// answering are the functions that make the answer.
func (s *about) answering() {
	s.add("eventHttpWrite", func(g guest) uint32 {
		part, readable := g.Memory().Read(g.u32(1), g.u32(2))
		if !readable {
			return errMem
		}
		g.Pay(uint64(len(part)))
		g.Output(len(part))
		g.event.write(part)
		return g.put32(3, uint32(len(part)))
	}, i32, i32, i32, i32)
	s.add("eventHttpFlush", func(g guest) uint32 { g.event.wish(wish{kind: sends}); return ok }, i32)
	s.add("eventHttpRetCode", func(g guest) uint32 { return g.event.setStatus(g.u32(1)) }, i32, i32)
	s.add("eventHttpHeaderAdd", func(g guest) uint32 {
		name, readable := g.text(1)
		v, also := g.text(3)
		if !readable || !also {
			return errMem
		}
		return g.addField(name, v)
	}, i32, i32, i32, i32, i32)
	s.add("eventHttpRedirect", func(g guest) uint32 {
		to, readable := g.text(1)
		if !readable {
			return errMem
		}
		if e := g.event.setStatus(g.u32(3)); e != ok {
			return e
		}
		return g.addField("Location", to)
	}, i32, i32, i32, i32)
}

// eventType has no result, with which it could say that something is wrong: then the guest finds what it had there.
func eventType(c *engine.Call, stack []uint64) {
	if _, is := c.Request.Value.(*event); uint32(stack[0]) == 0 && is {
		_ = guest{Call: c, stack: stack}.put32(1, eventHTTP)
	}
}

func (e *event) setStatus(status uint32) uint32 {
	if !answers(int(status)) {
		return errWhat
	}
	e.response.status = int(status)
	return ok
}

func (g guest) addField(name, v string) uint32 {
	a := &g.event.response
	if a.fieldCount >= fieldsMax || a.headLen+len(name)+len(v) > headLenMax {
		return errSize
	}
	status := a.status
	if strings.EqualFold(name, "Status") || a.field(name, v) != nil {
		a.status = status
		return errWhat
	}
	g.Output(len(name) + len(v))
	return ok
}
