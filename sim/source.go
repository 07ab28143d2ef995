package sim

import (
	"path"
	"runtime"
	"strconv"
	"strings"
)

// sourceDepth is how many callers are looked at.
const sourceDepth = 12

// source is where in the code the fact that is being written was reported: the
// innermost caller that is neither this package nor a function that only passes
// facts on, which is called Observe or observe.
func (t *trace) source() string {
	var pcs [sourceDepth]uintptr
	for _, pc := range pcs[:runtime.Callers(2, pcs[:])] {
		place, known := t.sources[pc]
		if !known {
			place = placeOf(pc)
			t.sources[pc] = place
		}
		if place != "" {
			return place
		}
	}
	return ""
}

// placeOf is "" for what passes facts on. Functions that were inlined at one place
// count as the innermost that does not.
func placeOf(pc uintptr) string {
	frames := runtime.CallersFrames([]uintptr{pc})
	for {
		f, more := frames.Next()
		if f.Function != "" && !passesOn(f.Function) {
			return shortPlace(f.Function, f.File, f.Line)
		}
		if !more {
			return ""
		}
	}
}

const ownModule = "github.com/taucloud/tau/"

func passesOn(function string) bool {
	function = strings.TrimSuffix(function, ".func1")
	name := function[strings.LastIndexByte(function, '.')+1:]
	return name == "Observe" || name == "observe" || name == "OpenReplicated" || strings.HasPrefix(function, ownModule+"sim.(*trace)")
}

// shortPlace names a file by its package, which is the same on every machine.
func shortPlace(function, file string, line int) string {
	function, _, _ = strings.Cut(function, "[") // of type arguments
	slash := strings.LastIndexByte(function, '/') + 1
	dot := strings.IndexByte(function[slash:], '.')
	if dot < 0 {
		return ""
	}
	return strings.TrimPrefix(path.Join(strings.TrimSuffix(function[:slash+dot], "_test"), path.Base(file)), ownModule) + ":" + strconv.Itoa(line)
}

// Traced reports whether somebody reads the trace.
func (w *World) Traced() bool { return w.trace.out != nil }

// Believes writes to the trace what a service of a node believes of something from
// now on, "" for nothing any more. It does not count for the digest.
func (w *World) Believes(node, service, about, says string) {
	w.trace.state(w.nowNS(), node, service, about, says)
}
