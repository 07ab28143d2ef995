package sim

import (
	"reflect"
	"runtime"
	"strings"
)

// What service code must not do, because the seed would not decide it, is found while
// it is done where that can be: the message names the place and what to do instead.

// remedies tell, by the state in which the runtime shows a goroutine that has the turn
// and does not give it up, what it does and what it should do instead.
var remedies = []struct{ state, what string }{
	{"sleep", "it sleeps in real time: use clock.Sleep"},
	{"chan", "it waits on a channel: use clock.Queue, clock.First or Loop.Park"},
	{"select", "it waits on channels: use clock.First, clock.Queue or Loop.Park"},
	{"sync.WaitGroup", "it waits for goroutines: use clock.First"},
	{"sync.", "it waits for a lock: a turn needs none, and none may be held while a task parks"},
	{"semacquire", "it waits for a lock: a turn needs none, and none may be held while a task parks"},
	{"IO wait", "it waits for the network or a file: use Env.Wire, and Env.Local or Env.Blocks"},
	{"syscall", "it waits for the system: use Env.Wire, and Env.Local or Env.Blocks"},
	{"runn", "it computes without an end: who waits must park, as clock.Sleep does; long work is clock.Offload's"},
}

// remedy is for a traceback that begins with "goroutine 7 [sleep, ...]:"; "" for a
// state that says nothing.
func remedy(traceback string) string {
	_, state, _ := strings.Cut(traceback, "[")
	for _, r := range remedies {
		if strings.HasPrefix(state, r.state) {
			return r.what
		}
	}
	return ""
}

// guardLooksMax bounds how often a run is looked through for goroutines of services.
const guardLooksMax = 300

// goroutineGuard looks for goroutines that services have started.
type goroutineGuard struct {
	packages map[string]bool // of the services that there are
	most     int             // goroutines at once, at the last look
	looks    int
}

// know adds the package of a service; tests of this package have services in it.
func (g *goroutineGuard) know(newService any) {
	if g.packages == nil {
		g.packages = map[string]bool{}
	}
	if f := runtime.FuncForPC(reflect.ValueOf(newService).Pointer()); f != nil && packageOf(f.Name()) != ownModule+"sim" {
		g.packages[packageOf(f.Name())] = true
	}
}

// packageOf is the import path in the name of a function.
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	name, _, _ := strings.Cut(function[slash:], ".")
	return function[:slash] + name
}

// look gives the run up if a service has started a goroutine that has not ended. It is
// called between two events of a run that is perturbed, where it looks when there are
// clearly more goroutines than ever, and at the end of each run.
func (g *goroutineGuard) look(w *World) {
	n := runtime.NumGoroutine()
	if n <= g.most+g.most/32 || g.looks >= guardLooksMax {
		return
	}
	g.most = n
	g.looks++
	for _, one := range strings.Split(string(allStacks()), "\n\n") {
		_, creator, found := strings.Cut(one, "\ncreated by ")
		if !found {
			continue
		}
		function, place, _ := strings.Cut(creator, "\n")
		function, _, _ = strings.Cut(function, " in goroutine")
		if !g.packages[packageOf(function)] {
			continue
		}
		place, _, _ = strings.Cut(strings.TrimSpace(place), " +0x")
		w.stuck(w.first(&Breakdown{Kind: BrokenByGoroutine, Task: function, At: w.Now(), Stack: []string{function + " " + place},
			What: "it starts a goroutine, which no turn waits for: use Env.Loop.Go, or clock.Offload for long work"}))
	}
}
