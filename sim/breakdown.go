package sim

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Breakdown is why a world could not go on: code panicked, or a turn never ended. Run returns it as
// its error or, if the bubble cannot be left any more, passes it to Config.Stuck.
type Breakdown struct {
	// Kind is BrokenByPanic, BrokenByStall or BrokenByGoroutine.
	Kind string
	// Node, Service and Task say whose turn it was, as far as is known. They are empty for the
	// world itself.
	Node, Service, Task string
	// At is virtual time.
	At time.Duration
	// What is the value of the panic, or what the turn waited for.
	What string
	// Stack has the frames of code that is not the standard library's, innermost
	// first, "function file:line".
	Stack []string
}

// The kinds of breakdowns.
const (
	BrokenByPanic = "panic"
	BrokenByStall = "stall"
	// BrokenByGoroutine: a service has started a goroutine of its own.
	BrokenByGoroutine = "goroutine"
)

// Error implements error: one line, and one for each frame.
func (b *Breakdown) Error() string {
	text := b.Kind
	if b.Task != "" {
		text += fmt.Sprintf(" in %q", b.Task)
	}
	if b.Service != "" {
		text += " of " + b.Service
	}
	if b.Node != "" {
		text += " on " + b.Node
	}
	text += fmt.Sprintf(" at %v: %s", b.At, b.What)
	return strings.Join(append([]string{text}, b.Stack...), "\n\t")
}

// panicked is to be called with what a deferred function has recovered: the
// stack is still that of the panic.
func (w *World) panicked(value any) *Breakdown {
	b := w.turnOf(BrokenByPanic)
	b.What, b.Stack = fmt.Sprint(value), ownFrames(3)
	return b
}

// turnOf is a breakdown in the current turn, or in the event that fires.
func (w *World) turnOf(kind string) *Breakdown {
	b := &Breakdown{Kind: kind, At: w.Now()}
	if t := w.current; t != nil {
		b.Node, b.Service, b.Task = t.loop.life.node.name, t.loop.name, t.name
	} else if e := w.firing; e != nil {
		b.Task = strings.TrimSpace(kindNames[e.kind] + " " + e.label)
		if e.node != nil {
			b.Node = e.node.name
		}
	}
	return b
}

// stuck ends the process: the bubble cannot be left in any other way.
func (w *World) stuck(b *Breakdown) {
	if w.cfg.Stuck != nil {
		w.cfg.Stuck(w.outcome(), b)
	}
	fmt.Fprintf(os.Stderr, "sim: %v\nall goroutines:\n%s\n", b, allStacks())
	os.Exit(70)
}

// framesMax bounds the frames that a breakdown keeps.
const framesMax = 16

// ownFrames are the frames of the calling goroutine that are not the standard
// library's, skip callers of it left out.
func ownFrames(skip int) (list []string) {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(skip, pcs)])
	for {
		f, more := frames.Next()
		if ownCode(f.Function) && len(list) < framesMax {
			list = append(list, fmt.Sprintf("%s %s:%d", f.Function, f.File, f.Line))
		}
		if !more {
			return list
		}
	}
}

// ownCode reports whether a function is code of a module, whose path begins with a domain, and not
// of the standard library or of the simulator's own scheduling.
func ownCode(function string) bool {
	first, _, _ := strings.Cut(function, "/")
	domain := strings.Contains(first, ".") && strings.Contains(function, "/") || strings.HasPrefix(function, "main.")
	turning := strings.Contains(function, "/sim.(*runner).") || strings.Contains(function, "/sim.(*World).") || strings.Contains(function, "/sim.Run.")
	return domain && !turning
}

// OwnFrames are those frames of the first goroutine in a traceback of the Go runtime.
func OwnFrames(traceback string) (list []string) {
	if at := strings.Index(traceback, "goroutine "); at >= 0 {
		traceback = traceback[at:]
	}
	traceback, _, _ = strings.Cut(traceback, "\n\n")
	lines := strings.Split(traceback, "\n")
	for i := 1; i+1 < len(lines) && !strings.HasPrefix(lines[i], "created by "); i += 2 {
		function, place := lines[i], strings.TrimSpace(lines[i+1])
		if at := strings.LastIndex(function, "("); at > 0 {
			function = function[:at]
		}
		place, _, _ = strings.Cut(place, " +0x")
		if ownCode(function) && len(list) < framesMax {
			list = append(list, function+" "+place)
		}
	}
	return list
}

// stuckFrames are those of the task that neither parks nor ends, and what it should do
// instead of what it does.
func stuckFrames() (frames []string, instead string) {
	for _, one := range strings.Split(string(allStacks()), "\n\n") {
		if strings.Contains(one, ".(*runner).run(") && !strings.Contains(one, ".(*loop).Park(") {
			if list := OwnFrames(one); len(list) > 0 {
				return list, remedy(one)
			}
		}
	}
	return nil, ""
}
