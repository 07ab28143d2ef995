package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/tracefile"
	"github.com/taucloud/tau/transport"
)

// trace writes one JSON line per event, fact and warning, without wall time and
// without addresses, and keeps the running SHA-256 of all lines: the digest. What
// the format is, package tracefile says. What is not part of the digest - the
// x of a line, and whole lines of some kinds - is only made when somebody reads it.
type trace struct {
	w    *World
	out  io.Writer // nil: nobody reads it
	hash hash.Hash
	line []byte
	// sources are places in the code by program counter.
	sources map[uintptr]string
}

func newTrace(w *World, out io.Writer) *trace {
	return &trace{w: w, out: out, hash: sha256.New(), sources: map[uintptr]string{}}
}

func (t *trace) digest() string { return hex.EncodeToString(t.hash.Sum(nil)) }

// head writes the first line.
func (t *trace) head(scenario string, seed uint64) {
	if t.out == nil {
		return
	}
	t.begin(0, tracefile.KindTrace)
	t.number("version", tracefile.Version)
	t.text("scenario", scenario)
	t.key("seed")
	t.line = strconv.AppendUint(t.line, seed, 10)
	if seed > tracefile.ExactMax {
		t.line = strconv.AppendQuote(t.line[:len(t.line)-len(strconv.FormatUint(seed, 10))], strconv.FormatUint(seed, 10))
	}
	t.write()
}

func (t *trace) begin(at int64, kind string) {
	t.line = append(t.line[:0], `{"t":`...)
	t.line = appendNumber(t.line, at)
	t.line = append(t.line, `,"k":"`...)
	t.line = append(t.line, kind...)
	t.line = append(t.line, '"')
}

// key begins a member of the object that is open.
func (t *trace) key(name string) {
	if t.line[len(t.line)-1] != '{' {
		t.line = append(t.line, ',')
	}
	t.line = append(t.line, '"')
	t.line = append(t.line, name...)
	t.line = append(t.line, `":`...)
}

func (t *trace) text(name, value string) {
	t.key(name)
	t.line = appendJSONString(t.line, value)
}

func (t *trace) number(name string, value int64) {
	t.key(name)
	t.line = appendNumber(t.line, value)
}

// appendNumber writes as text what readers in other languages would round.
func appendNumber(b []byte, n int64) []byte {
	if n >= -tracefile.ExactMax && n <= tracefile.ExactMax {
		return strconv.AppendInt(b, n, 10)
	}
	b = append(b, '"')
	return append(strconv.AppendInt(b, n, 10), '"')
}

// end ends a line that counts; besides adds what does not, nil for the event's
// number alone.
func (t *trace) end(besides func()) {
	t.line = append(t.line, '}', '\n')
	t.hash.Write(t.line)
	if t.out == nil {
		return
	}
	t.line = append(t.line[:len(t.line)-2], `,"x":{`...)
	t.number("id", int64(t.w.fired.Load()))
	if besides != nil {
		besides()
	}
	t.line = append(t.line, '}')
	t.write()
}

func (t *trace) write() {
	t.line = append(t.line, '}', '\n')
	_, _ = t.out.Write(t.line) // an error of the trace's writer does not affect the run
}

// event writes an event as it fires.
func (t *trace) event(at int64, e *event) {
	t.begin(at, kindNames[e.kind])
	if e.node != nil {
		t.text("n", e.node.name)
	}
	if e.label != "" {
		t.text("l", e.label)
	}
	t.number("a", int64(e.a))
	t.number("b", int64(e.b))
	if e.size > 0 {
		t.number("size", int64(e.size))
		t.number("sum", int64(e.sum))
	}
	t.end(func() {
		t.number("cause", int64(e.cause))
		if e.said == nil {
			return
		}
		t.text("what", e.said.What)
		if e.said.Method != "" {
			t.text("method", e.said.Method)
		}
		if e.said.ID != 0 {
			t.number("call", int64(e.said.ID))
		}
	})
}

// missed writes that the frame of the previous event is not delivered, or not yet.
func (t *trace) missed(at int64, link string) {
	t.begin(at, tracefile.KindMissed)
	t.text("l", link)
	t.end(nil)
}

// fact writes what a service reported.
func (t *trace) fact(at int64, nodeName, service, fact string, fields []node.Field) {
	t.begin(at, tracefile.KindFact)
	t.text("n", nodeName)
	t.text("s", service)
	t.text("f", fact)
	if len(fields) > 0 {
		t.key("v")
		t.line = append(t.line, '{')
		for _, f := range fields {
			t.field(f)
		}
		t.line = append(t.line, '}')
	}
	t.end(func() {
		if source := t.source(); source != "" {
			t.text("src", source)
		}
	})
}

func (t *trace) field(f node.Field) {
	switch v := f.Value.(type) {
	case string:
		t.text(f.Name, v)
	case transport.Peer:
		t.text(f.Name, v.Short())
	case int:
		t.number(f.Name, int64(v))
	case int64:
		t.number(f.Name, v)
	case uint64:
		t.number(f.Name, int64(v))
	case time.Duration:
		t.number(f.Name, int64(v))
	case bool:
		t.key(f.Name)
		t.line = strconv.AppendBool(t.line, v)
	default:
		t.text(f.Name, fmt.Sprint(v))
	}
}

// state writes what a service believes from now on, "" for nothing any more.
func (t *trace) state(at int64, nodeName, service, about, says string) {
	if t.out == nil {
		return
	}
	t.begin(at, tracefile.KindState)
	t.text("n", nodeName)
	t.text("s", service)
	t.text("about", about)
	t.text("says", says)
	t.write()
}

// appendJSONString is strconv.AppendQuote restricted to JSON's escapes.
func appendJSONString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// logHandler writes the log records of services to the trace, from Warn on. An Error fails the run:
// it means that something happened that never should.
type logHandler struct {
	w     *World
	node  string
	attrs []slog.Attr
}

func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	var text []byte
	text = append(text, r.Message...)
	add := func(a slog.Attr) bool {
		text = append(text, ' ')
		text = append(text, a.Key...)
		text = append(text, '=')
		text = append(text, a.Value.String()...)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	t := h.w.trace
	t.begin(h.w.nowNS(), tracefile.KindLog)
	t.text("n", h.node)
	t.text("level", r.Level.String())
	t.text("msg", string(text))
	t.end(nil)
	if r.Level >= slog.LevelError {
		h.w.Fail(fmt.Errorf("sim: unexpected error in the log of %s at %v: %s", h.node, h.w.Now(), text))
	}
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{w: h.w, node: h.node, attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

func (h *logHandler) WithGroup(string) slog.Handler { return h }
