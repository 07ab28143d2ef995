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
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/transport"
)

// trace writes one JSON line per event, fact and warning, without wall time and
// without addresses, and keeps the running SHA-256 of all lines: the digest.
type trace struct {
	out  io.Writer
	hash hash.Hash
	line []byte
}

func newTrace(out io.Writer) *trace { return &trace{out: out, hash: sha256.New()} }

func (t *trace) digest() string { return hex.EncodeToString(t.hash.Sum(nil)) }

func (t *trace) begin(at int64, kind string) {
	t.line = append(t.line[:0], `{"t":`...)
	t.line = strconv.AppendInt(t.line, at, 10)
	t.line = append(t.line, `,"k":"`...)
	t.line = append(t.line, kind...)
	t.line = append(t.line, '"')
}

func (t *trace) text(name, value string) {
	t.line = append(t.line, ',', '"')
	t.line = append(t.line, name...)
	t.line = append(t.line, `":`...)
	t.line = appendJSONString(t.line, value)
}

func (t *trace) number(name string, value int64) {
	t.line = append(t.line, ',', '"')
	t.line = append(t.line, name...)
	t.line = append(t.line, `":`...)
	t.line = strconv.AppendInt(t.line, value, 10)
}

func (t *trace) end() {
	t.line = append(t.line, '}', '\n')
	t.hash.Write(t.line)
	if t.out != nil {
		_, _ = t.out.Write(t.line) // a trace that cannot be written is its reader's loss
	}
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
	t.end()
}

// missed writes that the frame of the event before is not heard, or not yet.
func (t *trace) missed(at int64, link string) {
	t.begin(at, "missed")
	t.text("l", link)
	t.end()
}

// fact writes what a service reported.
func (t *trace) fact(at int64, nodeName, service, fact string, fields []node.Field) {
	t.begin(at, "fact")
	t.text("n", nodeName)
	t.text("s", service)
	t.text("f", fact)
	for _, f := range fields {
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
			t.text(f.Name, strconv.FormatBool(v))
		default:
			t.text(f.Name, fmt.Sprint(v))
		}
	}
	t.end()
}

// appendJSONString is strconv.AppendQuote restricted to what JSON knows.
func appendJSONString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
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

// logHandler takes the log records of services into the trace, from Warn on. An
// Error is a failure of the run: it says that something happened that never
// should.
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
	t.begin(h.w.nowNS(), "log")
	t.text("n", h.node)
	t.text("level", r.Level.String())
	t.text("msg", string(text))
	t.end()
	if r.Level >= slog.LevelError {
		h.w.Fail(fmt.Errorf("sim: unexpected error in the log of %s at %v: %s", h.node, h.w.Now(), text))
	}
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{w: h.w, node: h.node, attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

func (h *logHandler) WithGroup(string) slog.Handler { return h }
