// Package fail names the moments at which a fault can be injected: failpoints.
//
// A point is a package variable of the service that owns it:
//
//	var afterLock = fail.Register("monkey/after-lock", "holds the lock, has not begun to build")
//
// and is hit by afterLock.Hit(ctx, env) at that moment. When no point is enabled anywhere, that
// costs one atomic load. Points are enabled by a scenario, or in the shipped binary by
// GO_FAILPOINTS with the one form of term NAME=return("ACTION"). The library decides whether a
// point is on; the action is carried out here, on the service's loop, because the library's own
// sleep and pause hold a mutex while they wait and its percentages draw from the global random
// source.
package fail

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pingcap/failpoint"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/transport"
)

// ErrDrop is what Hit returns for the action drop: skip what was about to be
// sent or written, and go on as if it had been.
var ErrDrop = errors.New("fail: drop")

// Do is the kind of action at a point.
type Do uint8

// The actions.
const (
	Crash Do = iota + 1 // the node ends as in a power cut
	Error               // Hit returns an error of Kind Internal
	Drop                // Hit returns ErrDrop
	Delay               // Hit sleeps on the service's loop
	Panic               // Hit panics, as after a bug
	Hang                // Hit never returns and never parks: another one
)

// Action is a Do with its parameter.
type Action struct {
	Do    Do
	Delay time.Duration
}

// words are the actions without a parameter.
var words = map[string]Do{"crash": Crash, "error": Error, "drop": Drop, "panic": Panic, "hang": Hang}

// String is what ParseAction reads.
func (a Action) String() string {
	for word, do := range words {
		if do == a.Do {
			return word
		}
	}
	return "delay " + a.Delay.String()
}

// ParseAction reads "crash", "error", "drop", "panic", "hang" or "delay 3s".
func ParseAction(s string) (Action, error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	switch do, found := words[word]; {
	case found && rest == "":
		return Action{Do: do}, nil
	case word == "delay":
		d, err := time.ParseDuration(strings.TrimSpace(rest))
		if err != nil || d < 0 {
			return Action{}, fmt.Errorf("fail: %q is not a delay such as \"delay 3s\"", s)
		}
		return Action{Do: Delay, Delay: d}, nil
	}
	return Action{}, fmt.Errorf("fail: %q is none of crash, error, drop, panic, hang, delay DURATION", s)
}

// Point is one named moment.
type Point struct {
	name, doc string
	passed    atomic.Uint64
}

// Name is "<service>/<moment>".
func (p *Point) Name() string { return p.name }

// Doc says what has happened and what has not at this moment.
func (p *Point) Doc() string { return p.doc }

// Rule enables a point on some nodes for some hits.
type Rule struct {
	Point string
	// Nodes reports whether the rule applies on a node; nil means on all.
	Nodes func(name string) bool
	Do    Action
	// Times is how many hits it applies to; 0 means all.
	Times int
}

var registry struct {
	mu     sync.Mutex
	points map[string]*Point
	rules  []*activeRule
	hits   map[string]int // carried out, by point
}

type activeRule struct {
	Rule
	used int
}

// active is the number of enabled rules, plus one if the environment enabled any,
// plus counting if it is counted who passes.
var active atomic.Int32

const counting = 1 << 24

// fromEnvironment counts GO_FAILPOINTS once: the library has read it in its
// own initialisation.
var fromEnvironment = func() bool {
	if len(failpoint.List()) == 0 {
		return false
	}
	active.Add(1)
	return true
}()

// FromEnvironment are the points that GO_FAILPOINTS has turned on, before any rule was enabled.
func FromEnvironment() []string { return failpoint.List() }

// IgnoreEnvironment turns them off: a program that was not told to let faults be injected calls it before anything
// is hit.
func IgnoreEnvironment() {
	for _, name := range failpoint.List() {
		_ = failpoint.Disable(name) // it is enabled
	}
}

// Register names a point. It panics on a duplicate: that is a bug.
func Register(name, doc string) *Point {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if registry.points == nil {
		registry.points = map[string]*Point{}
		registry.hits = map[string]int{}
	}
	if registry.points[name] != nil {
		panic("fail: point registered twice: " + name)
	}
	p := &Point{name: name, doc: doc}
	registry.points[name] = p
	return p
}

// Points lists all registered points by name.
func Points() []*Point {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	var list []*Point
	for _, p := range registry.points {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *Point) int { return strings.Compare(a.name, b.name) })
	return list
}

// Enable adds a rule and returns the function that removes it.
func Enable(r Rule) (disable func(), err error) {
	disable, _, err = EnableCounted(r)
	return disable, err
}

// EnableCounted is Enable; used tells how often the rule was carried out, also
// after it was removed.
func EnableCounted(r Rule) (disable func(), used func() int, err error) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if registry.points[r.Point] == nil {
		return nil, nil, fmt.Errorf("fail: no such point %q", r.Point)
	}
	if err := failpoint.Enable(r.Point, `return("rule")`); err != nil {
		return nil, nil, fmt.Errorf("fail: enable %s: %w", r.Point, err)
	}
	rule := &activeRule{Rule: r}
	registry.rules = append(registry.rules, rule)
	active.Add(1)
	var once sync.Once
	return func() { once.Do(func() { remove(rule) }) }, rule.count, nil
}

func (r *activeRule) count() int {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	return r.used
}

func remove(rule *activeRule) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	registry.rules = slices.DeleteFunc(registry.rules, func(r *activeRule) bool { return r == rule })
	active.Add(-1)
	if !slices.ContainsFunc(registry.rules, func(r *activeRule) bool { return r.Point == rule.Point }) {
		_ = failpoint.Disable(rule.Point) // it was enabled by Enable
	}
}

// Hits is how often an action was carried out at each point since the last
// ResetHits.
func Hits() map[string]int {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	out := make(map[string]int, len(registry.hits))
	for name, n := range registry.hits {
		out[name] = n
	}
	return out
}

// ResetHits forgets the counts.
func ResetHits() {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	clear(registry.hits)
}

// CountPassed forgets what was counted, and counts from now on how often each point
// is passed, whether it acts or not, in the whole process.
func CountPassed() {
	if active.Load() < counting {
		active.Add(counting)
	}
	for _, p := range Points() {
		p.passed.Store(0)
	}
}

// Passed is how often each point was passed since CountPassed. Those that were not
// are left out.
func Passed() map[string]int {
	out := map[string]int{}
	for _, p := range Points() {
		if n := p.passed.Load(); n > 0 {
			out[p.name] = int(n)
		}
	}
	return out
}

// Hit passes the point: it may crash the node, park, or return an error. A nil
// result means go on.
func (p *Point) Hit(ctx context.Context, env node.Env) error {
	switch n := active.Load(); {
	case n == 0:
		return nil
	case n >= counting:
		p.passed.Add(1)
		if n == counting {
			return nil
		}
	}
	action, on := p.decide(ctx, env.Node)
	if !on {
		return nil
	}
	env.Observe("failpoint", node.F("point", p.name))
	switch action.Do {
	case Crash:
		env.Crash()
		runtime.Goexit() // where a process has several nodes: nothing of what follows the point is done
	case Error:
		return transport.New(transport.Internal, p.name, "injected by a failpoint")
	case Drop:
		return ErrDrop
	case Panic:
		panic("planted by failpoint " + p.name)
	case Hang:
		hang()
	case Delay:
		return clock.Sleep(ctx, env.Loop, action.Delay)
	}
	return nil
}

// hang waits for a mutex that nobody unlocks, holding the turn.
func hang() {
	var mu sync.Mutex
	mu.Lock()
	mu.Lock()
}

// decide asks the library, whose hook asks the rules.
func (p *Point) decide(ctx context.Context, nodeName string) (action Action, on bool) {
	value, err := failpoint.EvalContext(failpoint.WithHook(ctx, func(context.Context, string) bool {
		action, on = take(p.name, nodeName)
		return on || fromEnvironment
	}), p.name)
	if on || err != nil || value == nil {
		return action, on
	}
	text, _ := value.(string)
	action, err = ParseAction(text)
	return action, err == nil
}

func take(point, nodeName string) (Action, bool) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	for _, r := range registry.rules {
		if r.Point != point || (r.Times > 0 && r.used >= r.Times) || (r.Nodes != nil && !r.Nodes(nodeName)) {
			continue
		}
		r.used++
		registry.hits[point]++
		return r.Do, true
	}
	return Action{}, false
}
