package live

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/taucloud/tau/node"
)

// WarningsMax is how many warnings are kept for tau status.
const WarningsMax = 20

// Log is a node's log. It keeps the last warnings, and the last facts.
type Log struct {
	*slog.Logger
	kept  *warnings
	facts *facts
	level *slog.LevelVar
}

// SetLevel changes from which level on lines are written.
func (l *Log) SetLevel(level slog.Level) { l.level.Set(level) }

// NewLog writes lines from a level on: for people, or as JSON.
func NewLog(w io.Writer, level slog.Level, json bool) *Log {
	var h slog.Handler
	from := &slog.LevelVar{}
	from.Set(level)
	options := &slog.HandlerOptions{Level: from}
	if json {
		h = slog.NewJSONHandler(w, options)
	} else {
		h = slog.NewTextHandler(w, options)
	}
	kept := &warnings{}
	return &Log{slog.New(keeper{h, kept, ""}), kept, newFacts(time.Now()), from}
}

// Warning is a line of the log.
type Warning struct {
	At   time.Time `json:"at"` // the last time
	Text string    `json:"text"`
	// Times is how often it was written in a row.
	Times int `json:"times"`
}

type warnings struct {
	mu     sync.Mutex
	list   []Warning
	warned uint64
	failed uint64 // of them those at level Error
}

// counts is how many there were, and how many errors.
func (w *warnings) counts() (warned, failed uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.warned - w.failed, w.failed
}

func (w *warnings) add(one Warning, failed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.warned++; failed {
		w.failed++
	}
	if last := len(w.list) - 1; last >= 0 && w.list[last].Text == one.Text {
		w.list[last].At = one.At
		w.list[last].Times++
		return
	}
	one.Times = 1
	if w.list = append(w.list, one); len(w.list) > WarningsMax {
		w.list = append([]Warning{}, w.list[1:]...)
	}
}

func (w *warnings) all() []Warning {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Warning{}, w.list...)
}

// keeper is a handler that keeps warnings.
type keeper struct {
	slog.Handler
	kept  *warnings
	about string // attributes of the logger
}

func (k keeper) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		text := r.Message + k.about
		r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
		k.kept.add(Warning{At: r.Time, Text: text}, r.Level >= slog.LevelError)
	}
	return k.Handler.Handle(ctx, r)
}

func (k keeper) WithAttrs(attrs []slog.Attr) slog.Handler {
	about := k.about
	for _, a := range attrs {
		about += " " + a.String()
	}
	return keeper{k.Handler.WithAttrs(attrs), k.kept, about}
}

func (k keeper) WithGroup(name string) slog.Handler {
	return keeper{k.Handler.WithGroup(name), k.kept, k.about}
}

// observer keeps facts for who asks, and writes them to the log, for whoever wants all of it.
type observer struct{ log *Log }

// Observe implements node.Observer.
func (o observer) Observe(_, service, fact string, fields []node.Field) {
	o.log.facts.add(service, fact, fields)
	if !o.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	attrs := []any{slog.String("service", service)}
	for _, f := range fields {
		attrs = append(attrs, slog.Any(f.Name, f.Value))
	}
	o.log.Debug(fact, attrs...)
}
