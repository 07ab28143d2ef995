package live

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/yamltree"
)

// faults are the rules of failpoints that somebody has set over the socket: they are of this run of the node, and end with it.
type faults struct {
	mu    sync.Mutex
	rules map[string][]*setRule // by point
	hits  map[string]int        // by rules that are over
}

type setRule struct {
	do    string
	times int
	off   func()
	used  func() int
}

// FailpointRequest sets a rule at a point of this node: Do is "crash", "error", "drop", "panic", "hang" or
// "delay 3s", for so many Times (0: each time), for so long (0: until the node ends). "off" ends all
// rules at the point, or at all points if it is "".
type FailpointRequest struct {
	Point string        `json:"point"`
	Do    string        `json:"do"`
	Times int           `json:"times,omitempty"`
	For   time.Duration `json:"for,omitempty"`
}

// Failpoint is a named moment at which a fault can be injected.
type Failpoint struct {
	Name string `json:"name"`
	Doc  string `json:"doc"`
	// Hits is how often a rule was carried out there on this node.
	Hits int `json:"hits"`
	// Rules are those in force.
	Rules []FailpointRule `json:"rules"`
}

// FailpointRule is one at a point: what it does, how often at most (0: each time), and how often it has.
type FailpointRule struct {
	Do    string `json:"do"`
	Times int    `json:"times"`
	Used  int    `json:"used"`
}

// rulesMax bounds the rules of a node.
const rulesMax = 256

// failpoints lists them all.
func (r *running) failpoints(context.Context, nothing) (list []Failpoint, err error) {
	f := &r.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range fail.Points() {
		one := Failpoint{p.Name(), p.Doc(), f.hits[p.Name()], []FailpointRule{}}
		for _, rule := range f.rules[p.Name()] {
			one.Rules = append(one.Rules, FailpointRule{rule.do, rule.times, rule.used()})
			one.Hits += rule.used()
		}
		list = append(list, one)
	}
	return list, nil
}

// setFailpoint sets or ends rules, if the node was started with leave to.
func (r *running) setFailpoint(_ context.Context, req FailpointRequest) (nothing, error) {
	if !r.cfg.Failpoints {
		return nothing{}, transport.New(transport.Refused, "failpoint", "this node was not started with --failpoints: it fails at nobody's word")
	}
	f := &r.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	if req.Do == "off" {
		f.end(req.Point)
		return nothing{}, nil
	}
	action, err := fail.ParseAction(req.Do)
	if err != nil {
		return nothing{}, transport.New(transport.Invalid, "failpoint", err.Error())
	}
	if r.cfg.InOneProcess && (action.Do == fail.Panic || action.Do == fail.Hang) {
		return nothing{}, transport.New(transport.Invalid, "failpoint", req.Do+" would be of all nodes of this universe, which are one process: dreamland up --processes gives each its own; crash ends this one alone")
	}
	if f.count() == rulesMax {
		return nothing{}, transport.New(transport.Conflict, "failpoint", fmt.Sprintf("%d rules are set: end some of them", rulesMax))
	}
	own := func(name string) bool { return name == r.cfg.Shape.Name }
	off, used, err := fail.EnableCounted(fail.Rule{Point: req.Point, Do: action, Times: req.Times, Nodes: own})
	if err != nil {
		return nothing{}, transport.New(transport.Invalid, "failpoint", fmt.Sprintf("there is no failpoint %.80q: %s", req.Point, yamltree.SuggestFew(req.Point, PointNames(), 32)))
	}
	if f.rules == nil {
		f.rules, f.hits = map[string][]*setRule{}, map[string]int{}
	}
	rule := &setRule{action.String(), req.Times, off, used}
	f.rules[req.Point] = append(f.rules[req.Point], rule)
	if req.For > 0 {
		time.AfterFunc(req.For, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.endIf(req.Point, func(r *setRule) bool { return r == rule })
		})
	}
	r.cfg.Log.Warn("a failpoint was set: this node fails on purpose", slog.String("point", req.Point), slog.String("do", req.Do))
	return nothing{}, nil
}

// end ends the rules at a point, "": at all of them.
func (f *faults) end(point string) {
	for name := range f.rules {
		if point == "" || name == point {
			f.endIf(name, func(*setRule) bool { return true })
		}
	}
}

func (f *faults) endIf(point string, is func(*setRule) bool) {
	f.rules[point] = slices.DeleteFunc(f.rules[point], func(r *setRule) bool {
		if !is(r) {
			return false
		}
		r.off()
		f.hits[point] += r.used()
		return true
	})
}

func (f *faults) count() (n int) {
	for _, rules := range f.rules {
		n += len(rules)
	}
	return n
}

// over ends all of them with the node.
func (f *faults) over() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end("")
}

// PointNames are the names of all failpoints.
func PointNames() (names []string) {
	for _, p := range fail.Points() {
		names = append(names, p.Name())
	}
	return names
}
