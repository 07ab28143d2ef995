// Package sdk is the interface taubyte/sdk but for what it has about HTTP events (package web): names, signatures and errors
// are those that guests of others were compiled with. What there is not yet answers with an error that its SDK knows.
//
// What a guest has open - clients, requests, resolvers, views of memory, queues - is of the State of one call, is bounded, and goes
// with it. Pointers and lengths are the guest's, and may be anything. A module of its own, Own, has what that interface lacks.
package sdk

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/wasm/engine"
	"github.com/taucloud/tau/wasm/outbound"
	"github.com/tetratelabs/wazero/api"
)

// Module is the name of the interface, Own that of what we add to it.
const (
	Module = "taubyte/sdk"
	Own    = "tau/sdk"
)

// Bounds of one call. They are far above what a request needs.
const (
	handlesMax  = 64      // of each kind
	heldMax     = 8 << 20 // bytes: bodies that are to be sent, responses, queues, answers of name servers
	fieldsMax   = 64      // of a request
	fieldLenMax = 16 << 10
	nameLenMax  = 1 << 10
	urlLenMax   = 8 << 10
	notesMax    = 16
)

// Self is what a function can know of itself.
type Self struct{ Project, Application, Function, Commit, Branch string }

// Config is what a call has.
type Config struct {
	Self Self
	// Outside is how it comes out, nil: not at all. Allow is where to.
	Outside outbound.Outside
	Allow   outbound.List
	// Loop is the field CDN-Loop of the request.
	Loop string
	// Log is told why something was refused, once for each reason; may be nil.
	Log io.Writer
}

// Took is an Outside that says how much time has passed in it since it was asked before, when no clock does. The guest sleeps for so long.
type Took interface{ Took() time.Duration }

// Holder is the value of a request that has a State.
type Holder interface{ SDK() *State }

// State is what a call has open.
type State struct {
	config    Config
	outbound  outbound.Client
	last      uint32
	held      int64
	noted     []string
	failed    string // why the last request was not answered
	clients   map[uint32]map[uint32]*request
	requests  int
	resolvers map[uint32]resolver
	views     map[uint32]view
	queues    map[uint32]*queue
}

// New makes the state of a call.
func New(c Config) *State {
	return &State{config: c, outbound: outbound.Client{Outside: c.Outside, Allow: c.Allow, Limits: outbound.DefaultLimits(), Loop: c.Loop}}
}

// id is a number that nothing else of this call has.
func (s *State) id() uint32 { s.last++; return s.last }

// hold takes room for bytes, if there is.
func (s *State) hold(n int) bool {
	if s.held+int64(n) > heldMax {
		return false
	}
	s.held += int64(n)
	return true
}

func (s *State) release(n int) { s.held -= int64(n) }

// note tells the function's log why something was refused.
func (s *State) note(text string) {
	if s.config.Log == nil || len(s.noted) >= notesMax || slices.Contains(s.noted, text) {
		return
	}
	s.noted = append(s.noted, text)
	_, _ = io.WriteString(s.config.Log, "[tau] "+text+"\n")
}

// guest is a call of a function of the host: its parameters, and what the guest has open.
type guest struct {
	*engine.Call
	*State
	stack []uint64
}

func (g guest) u32(i int) uint32 { return uint32(g.stack[i]) }

// bytes reads a pointer and a length. What it returns is the guest's memory.
func (g guest) bytes(i, most int) ([]byte, Errno) {
	if uint64(g.u32(i+1)) > uint64(most) {
		return nil, ErrBufferTooSmall
	}
	part, ok := g.Memory().Read(g.u32(i), g.u32(i+1))
	if !ok {
		return nil, ErrMemory
	}
	g.Pay(uint64(len(part)))
	return part, OK
}

// text is a string.
func (g guest) text(i, most int) (string, Errno) {
	part, e := g.bytes(i, most)
	return string(part), e
}

func (g guest) put32(i int, v uint32) Errno {
	if !g.Memory().WriteUint32Le(g.u32(i), v) {
		return ErrMemory
	}
	return OK
}

// give writes a value to a pointer. The guest has asked before how long it is.
func (g guest) give(i int, value string) Errno {
	g.Pay(uint64(len(value)))
	if !g.Memory().WriteString(g.u32(i), value) {
		return ErrMemory
	}
	return OK
}

// listed is a list as guests read it: each text with a zero behind it.
func listed(texts []string) string {
	var b strings.Builder
	for _, t := range texts {
		b.WriteString(strings.ReplaceAll(t, "\x00", ""))
		b.WriteByte(0)
	}
	return b.String()
}

// functions are those of a module, as they are collected.
type functions []engine.HostFunction

// values are types of parameters: i has 32 bits, l 64.
func values(types string) (list []api.ValueType) {
	for _, t := range types {
		if t == 'l' {
			list = append(list, api.ValueTypeI64)
		} else {
			list = append(list, api.ValueTypeI32)
		}
	}
	return list
}

// add adds one that returns an error. A guest that answers no request has nothing open: it gets otherwise.
func (l *functions) add(name, types string, otherwise Errno, do func(g guest) Errno) {
	*l = append(*l, engine.HostFunction{Name: name, Params: values(types), Results: values("i"), Call: func(c *engine.Call, stack []uint64) {
		h, is := c.Request.Value.(Holder)
		if !is {
			stack[0] = uint64(otherwise)
			return
		}
		stack[0] = uint64(do(guest{c, h.SDK(), stack}))
	}})
}

// silent adds one that returns nothing.
func (l *functions) silent(name, types string, do func(g guest)) {
	*l = append(*l, engine.HostFunction{Name: name, Params: values(types), Call: func(c *engine.Call, stack []uint64) {
		if h, is := c.Request.Value.(Holder); is {
			do(guest{c, h.SDK(), stack})
		}
	}})
}

// Hosts are the modules.
func Hosts() []engine.Host {
	var l, own functions
	l.self()
	l.random()
	l.memory()
	l.client()
	l.names()
	l.absent()
	own.more()
	return []engine.Host{{Module: Module, Functions: l}, {Module: Own, Functions: own}}
}
