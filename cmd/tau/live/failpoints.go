package live

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/yamltree"
)

// faults are the rules of failpoints that somebody has set over the socket.
type faults struct {
	mu    sync.Mutex
	rules map[string][]func() // by point, what turns them off
}

// FailpointRequest sets a rule at a point of this node: Do is "crash", "error", "drop", "panic", "hang" or
// "delay 3s", for so many Times (0: each time), for so long (0: until the process ends). "off" ends all
// rules at the point.
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
	// Hits is how often a rule was carried out there.
	Hits int `json:"hits"`
}

// failpoints lists them all.
func (r *running) failpoints(context.Context, nothing) (list []Failpoint, err error) {
	hits := fail.Hits()
	for _, p := range fail.Points() {
		list = append(list, Failpoint{p.Name(), p.Doc(), hits[p.Name()]})
	}
	return list, nil
}

// setFailpoint sets or ends rules, if the node was started with leave to.
func (r *running) setFailpoint(_ context.Context, req FailpointRequest) (nothing, error) {
	if !r.cfg.Failpoints {
		return nothing{}, transport.New(transport.Invalid, "failpoint", "this node was not started with --failpoints: it fails at nobody's word")
	}
	f := &r.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	if req.Do == "off" {
		for _, off := range f.rules[req.Point] {
			off()
		}
		delete(f.rules, req.Point)
		return nothing{}, nil
	}
	action, err := fail.ParseAction(req.Do)
	if err != nil {
		return nothing{}, transport.New(transport.Invalid, "failpoint", err.Error())
	}
	off, err := fail.Enable(fail.Rule{Point: req.Point, Do: action, Times: req.Times})
	if err != nil {
		return nothing{}, transport.New(transport.Invalid, "failpoint", fmt.Sprintf("%v: %s", err, yamltree.Suggest(req.Point, PointNames())))
	}
	if req.For > 0 {
		time.AfterFunc(req.For, off)
	}
	if f.rules == nil {
		f.rules = map[string][]func(){}
	}
	f.rules[req.Point] = append(f.rules[req.Point], off)
	r.cfg.Log.Warn("a failpoint was set: this node fails on purpose", slog.String("point", req.Point), slog.String("do", req.Do))
	return nothing{}, nil
}

// PointNames are the names of all failpoints.
func PointNames() (names []string) {
	for _, p := range fail.Points() {
		names = append(names, p.Name())
	}
	return names
}
