package dreamtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project"
	claims "github.com/taucloud/tau/project/route"
	"github.com/taucloud/tau/scenarios/ports"
	"github.com/taucloud/tau/services"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

const (
	// settled is when a simulated cloud is taken for ready.
	settled = 20 * time.Second
	// quantum is how far time goes until it is seen whether something is done.
	quantum = 5 * time.Millisecond
	// stall bounds the real time without an event: a test may think for that long between two calls.
	stall = 10 * time.Minute
	// clientName is the node of whoever tests.
	clientName = "client"
)

// twice are the services that have a second node, as in dreamland up.
var twice = []string{"substrate", "monkey", "hoarder"}

// one world at a time: they share the failpoints of the process.
var one sync.Mutex

// simulated is a cloud in a world of its own. The world's thread waits for what the test tells it, in real time, and virtual time stands
// still meanwhile.
type simulated struct {
	t     testing.TB
	seed  uint64
	tells chan func(w *sim.World) error
	told  chan error
	ended chan struct{}
	runs  sync.WaitGroup

	names  []string
	out    sim.Outcome
	err    error
	at     time.Duration
	closed bool // the test has ended it

	// of the world's thread
	ledger *fault.Ledger
	env    node.Env // the client's
	cut    func()
	pushes int
}

func newSimulated(t testing.TB, seed uint64) (world, error) {
	one.Lock()
	s := &simulated{t: t, seed: seed, tells: make(chan func(*sim.World) error), told: make(chan error), ended: make(chan struct{})}
	s.runs.Go(func() { // not a goroutine that the world could take for one of a service
		defer one.Unlock()
		defer close(s.ended)
		s.out, s.err = sim.Run(sim.Config{Seed: seed, Wire: sim.Direct, StallTimeout: stall, Scenario: t.Name()}, s.run)
	})
	return s, s.tell(func(*sim.World) error { return nil })
}

// run is the world's thread.
func (s *simulated) run(w *sim.World) error {
	if err := s.add(w); err != nil {
		return err
	}
	defer s.ledger.DisableFailpoints()
	if err := w.RunUntil(settled); err != nil {
		return err
	}
	for do := range s.tells {
		s.at = w.Now()
		err := do(w)
		s.at = w.Now()
		s.told <- err
	}
	return nil
}

// add adds the nodes of dreamland up, and that of whoever tests.
func (s *simulated) add(w *sim.World) error {
	s.ledger = fault.NewLedger(w)
	configured := func(specs ...node.Spec) (list []node.Configured) {
		for _, spec := range node.InStartOrder(specs, services.Always()) {
			list = append(list, node.Configured{Spec: spec, Settings: spec.Settings()})
		}
		return list
	}
	var grantable []string
	catalogue := services.Catalogue(ports.Simulated())
	for _, spec := range append(slices.Clone(catalogue), services.Always()...) {
		grantable = append(grantable, spec.Name)
	}
	for _, spec := range catalogue {
		names := []string{spec.Name}
		if slices.Contains(twice, spec.Name) {
			names = append(names, spec.Name+"-2")
		}
		for _, name := range names {
			cfg := sim.NodeConfig{Name: name, Services: configured(spec), Listed: []string{spec.Name}}
			if spec.Name == authapi.Service {
				cfg.Issues = append(grantable, clientName)
			}
			if err := w.AddNode(cfg); err != nil {
				return err
			}
			s.names = append(s.names, name)
		}
	}
	client := node.Spec{Name: clientName, Settings: func() any { return nil }, New: func(env node.Env, _ any) (node.Service, error) {
		s.env = env
		return idle{}, nil
	}}
	if err := w.AddNode(sim.NodeConfig{Name: clientName, Services: append([]node.Configured{{Spec: client}}, configured()...), Listed: []string{}}); err != nil {
		return err
	}
	for _, name := range append(slices.Clone(s.names), clientName) {
		w.At(0, "boot "+name, func() { s.ledger.Boot(name) })
	}
	return nil
}

type idle struct{}

func (idle) Start(context.Context) error { return nil }
func (idle) Stop(context.Context) error  { return nil }

// tell has the world's thread do something, and waits for that.
func (s *simulated) tell(do func(w *sim.World) error) error {
	if s.closed {
		return errOver
	}
	select {
	case s.tells <- do:
	case <-s.ended:
		return fmt.Errorf("the world has ended (seed %d): %w", s.seed, errors.Join(s.err, errOver))
	}
	select {
	case err := <-s.told:
		return err
	case <-s.ended:
		return fmt.Errorf("the world has ended (seed %d): %w", s.seed, errors.Join(s.err, errOver))
	}
}

var errOver = errors.New("nothing happens in it any more")

// task has the client do something, for so long at most.
func (s *simulated) task(name string, within time.Duration, f func(ctx context.Context, env node.Env) error) error {
	return s.tell(func(w *sim.World) error {
		over, result := false, error(nil)
		w.After(0, "test "+name, func() {
			s.env.Loop.Go(name, func(ctx context.Context) {
				ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, within)
				defer cancel()
				result = f(ctx, s.env)
				over = true
			})
		})
		for !over {
			if err := w.RunUntil(w.Now() + quantum); err != nil {
				return err
			}
		}
		return result
	})
}

func (s *simulated) nodes() []string { return slices.Clone(s.names) }

func (s *simulated) push(_ context.Context, dir, project, branch string) (p Pushed, err error) {
	tree, err := treeOf(dir)
	if err != nil {
		return p, err
	}
	raw := tree.Encode()
	s.pushes++
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s\x00%s", s.pushes, project, branch, raw))
	p.Commit = hex.EncodeToString(sum[:20])
	err = s.task("push", pushWithin, func(ctx context.Context, env node.Env) error {
		client := patrickapi.NewClient(env.Wire)
		var job patrickapi.Job
		if err := insist(ctx, env, func() error {
			event, err := client.NewEvent(ctx, project, project, branch, p.Commit, 0)
			if err != nil {
				return err
			}
			done, err := client.Push(ctx, patrickapi.PushRequest{Project: project, Repository: project, Branch: branch, Commit: p.Commit, Tree: raw, Event: event})
			job.ID = done.Job
			return err
		}); err != nil {
			return err
		}
		for !job.Status.Final() {
			if err := clock.Sleep(ctx, env.Loop, 100*time.Millisecond); err != nil {
				return err
			}
			if is, err := client.Job(ctx, job.ID); err == nil {
				job = is
			}
		}
		if log, err := client.Logs(ctx, job.ID); err == nil {
			p.Log = log.Lines
		}
		if p.Published = job.Status == patrickapi.Success; !p.Published {
			p.Log = append(p.Log, job.Error)
			return nil
		}
		for { // as the end of a push in dreamland up
			if r := getIn(ctx, env, project, branch, "/"); r.Version == p.Commit || r.Status == http.StatusNotFound && r.Version == "" && r.Body == noRoutes {
				return nil
			}
			if err := clock.Sleep(ctx, env.Loop, 100*time.Millisecond); err != nil {
				return err
			}
		}
	})
	return p, err
}

// insist tries again what may succeed later.
func insist(ctx context.Context, env node.Env, try func() error) error {
	for {
		err := try()
		switch transport.KindOf(err) {
		case 0, transport.Invalid, transport.Conflict, transport.NotAllowed:
			return err
		}
		if clock.Sleep(ctx, env.Loop, time.Second) != nil {
			return err
		}
	}
}

func (s *simulated) get(_ context.Context, project, branch, path string) (r Response) {
	if err := s.task("get", getWithin, func(ctx context.Context, env node.Env) error {
		r = getIn(ctx, env, project, branch, path)
		return nil
	}); err != nil {
		r = Response{Err: err}
	}
	return r
}

// noRoutes is the answer of a version that answers nothing.
const noRoutes = "the project answers no requests"

// getIn asks one gateway after the other.
func getIn(ctx context.Context, env node.Env, name, branch, path string) (r Response) {
	_, entries, err := tnsapi.NewClient(env.Wire).Contents(ctx, name, branch, project.RoutesPrefix)
	if transport.KindOf(err) == transport.NotFound {
		return Response{Status: http.StatusNotFound, Body: "nothing is published"}
	}
	if err != nil {
		return Response{Err: err}
	}
	var all []claims.Claim
	for _, e := range entries {
		part, err := project.DecodeRoutes(e.Path, e.Value)
		if err != nil {
			return Response{Err: err}
		}
		all = append(all, part...)
	}
	if len(all) == 0 {
		return Response{Status: http.StatusNotFound, Body: noRoutes}
	}
	host := all[0].Host
	for _, c := range all {
		if _, _, is := claims.Best(all, c.Host, http.MethodGet, "/"); is {
			host = c.Host
			break
		}
	}
	r.Err = errors.New("no gateway is known")
	gateways, _ := env.Wire.Directory().Lookup(gatewayapi.Service)
	for _, g := range gateways {
		if r = getFrom(ctx, env, g, host, path); r.Err == nil || ctx.Err() != nil {
			break
		}
	}
	return r
}

func getFrom(ctx context.Context, env node.Env, gateway transport.Peer, host, path string) Response {
	hr, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+path, http.NoBody)
	if err != nil {
		return Response{Err: err}
	}
	resp, err := httpstream.Do(ctx, env.Wire, gateway, gatewayapi.HTTP.Name, hr)
	if err != nil {
		return Response{Err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, BodyLenMax))
	if err != nil {
		return Response{Err: err}
	}
	return Response{Status: resp.StatusCode, Version: resp.Header.Get(substrateapi.HeaderVersion), Body: string(body)}
}

// there is an error if a node is none.
func (s *simulated) there(nodes ...string) error {
	for _, n := range nodes {
		if !slices.Contains(s.names, n) {
			return fmt.Errorf("there is no node %q: %s", n, strings.Join(s.names, ", "))
		}
	}
	return nil
}

// between lets something happen between two turns.
func (s *simulated) between(label string, f func()) error {
	return s.tell(func(w *sim.World) error {
		w.After(0, "test "+label, f)
		return w.RunUntil(w.Now() + quantum)
	})
}

func (s *simulated) kill(node string) error {
	if err := s.there(node); err != nil {
		return err
	}
	return s.between("kill "+node, func() { s.ledger.Begin(fault.Crash{Nodes: []string{node}}) })
}

func (s *simulated) start(node string) error {
	if err := s.there(node); err != nil {
		return err
	}
	return s.between("start "+node, func() { s.ledger.Begin(fault.Start{Nodes: []string{node}}) })
}

func (s *simulated) partition(groups [][]string) error {
	groups = slices.Clone(groups)
	rest := slices.DeleteFunc(slices.Clone(s.names), func(n string) bool {
		return slices.ContainsFunc(groups, func(g []string) bool { return slices.Contains(g, n) })
	})
	if err := s.there(slices.Concat(groups...)...); err != nil {
		return err
	}
	if len(rest) > 0 {
		groups = append(groups, rest)
	}
	if err := s.heal(); err != nil {
		return err
	}
	return s.between("partition", func() { s.cut = s.ledger.Begin(fault.Partition{Groups: groups}) })
}

func (s *simulated) heal() error {
	return s.between("heal", func() {
		if s.cut != nil {
			s.cut()
			s.cut = nil
		}
	})
}

func (s *simulated) wait(d time.Duration) error {
	return s.tell(func(w *sim.World) error { return w.RunUntil(w.Now() + d) })
}

func (s *simulated) now() time.Duration { return s.at }

func (s *simulated) close() error {
	if s.closed {
		return s.err
	}
	s.closed = true
	close(s.tells)
	<-s.ended
	s.t.Logf("simulated with -sim.seed %d: %s of virtual time, %d events, digest %.16s", s.seed, s.out.Virtual, s.out.Events, s.out.Digest)
	return s.err
}
