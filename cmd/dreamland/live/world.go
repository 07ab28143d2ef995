// Package live carries out stories on processes of the real world: each node is a tau of its own on loopback, with its own
// directory, and faults are what the system and a relay between the nodes allow. Time, and whoever draws, are real. What is judged
// is what the nodes report.
package live

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/taucloud/tau/cmd/dreamland/live/relay"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

const (
	// holdBack is how long a fact waits for earlier ones of other nodes: what one has written before it is read by then.
	holdBack = 400 * time.Millisecond
	// startWithin is how long the nodes that are there from the start may take to be up, before time begins.
	startWithin = 2 * time.Minute
	// startAgain is the pause before a node whose start has failed is started again, as by a supervisor.
	startAgain = time.Second
)

// Config is what a world is made of.
type Config struct {
	// Tau is the program of nodes, Dir an empty directory for all that they have.
	Tau, Dir string
	// Seed keys what is drawn: nodes are the same peers with the same seed.
	Seed    uint64
	Network func(from, to string) fault.Shape
	Words   scenario.Vocabulary
	// Settled is called when the story is over and its nodes still run; Hear with each fact. nil: nobody wants to know.
	Settled func(w *World, r *report.Result)
	Hear    func(check.Fact)
}

// World is a cloud, or several, of processes. All its methods but those that say otherwise are called by one goroutine: that which runs
// the story.
type World struct {
	cfg     Config
	starter *starter
	relay   *relay.Relay
	clouds  map[string]*cloud

	nodes  []*machine
	byName map[string]*machine
	onFact []func(check.Fact)
	links  func(from, to string) fault.LinkState // of faults

	failpoints failpoints
	heard      map[string][]check.Fact // by service, what remotes are told
	began      time.Time               // zero: time has not begun
	failed     error
	// looks are those under way, of a round; facts wait for them, so that what is seen is not older than what was heard.
	looks  int
	round  int
	frozen bool // guarded by mu, as what next looks at

	mu     sync.Mutex
	timed  timetable
	posted []func()
	facts  timetable
	count  uint64
	wake   chan struct{}
	closed bool
}

// New makes a world without nodes. Close it.
func New(cfg Config) (*World, error) {
	w := &World{
		cfg: cfg, starter: newStarter(), clouds: map[string]*cloud{}, byName: map[string]*machine{}, heard: map[string][]check.Fact{}, wake: make(chan struct{}, 1),
		links: func(string, string) fault.LinkState { return fault.LinkState{} },
	}
	var err error
	if w.relay, err = relay.Listen(w.at); err != nil {
		return nil, err
	}
	w.SetLinks(w.links, func(string, string, fault.LinkPart) {})
	return w, nil
}

// Close ends all nodes, at once.
func (w *World) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	var errs []error
	for _, m := range w.nodes {
		errs = append(errs, m.close())
	}
	w.relay.Close()
	w.starter.close()
	return errors.Join(errs...)
}

// moment is something that is due: a function, or a fact.
type moment struct {
	at   time.Duration
	n    uint64
	f    func()
	fact check.Fact
}

type timetable []moment

func (t timetable) Len() int { return len(t) }
func (t timetable) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(t[i].at, t[j].at), cmp.Compare(t[i].n, t[j].n)) < 0
}
func (t timetable) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *timetable) Push(x any)   { *t = append(*t, x.(moment)) }
func (t *timetable) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

// Now implements check.View and run.Timetable: real time since the nodes were up.
func (w *World) Now() time.Duration {
	if w.began.IsZero() {
		return 0
	}
	return time.Since(w.began)
}

// At implements run.Timetable.
func (w *World) At(at time.Duration, _ string, f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	heap.Push(&w.timed, moment{at: at, n: w.count, f: f})
}

// After implements run.Timetable.
func (w *World) After(d time.Duration, label string, f func()) { w.At(w.Now()+d, label, f) }

// Between implements run.Timetable. It may be called on any goroutine.
func (w *World) Between(f func()) {
	w.mu.Lock()
	w.posted = append(w.posted, f)
	w.mu.Unlock()
	w.hurry()
}

func (w *World) hurry() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Fail implements run.Timetable.
func (w *World) Fail(err error) {
	if w.failed == nil {
		w.failed = err
	}
}

// OnFact implements run.World.
func (w *World) OnFact(f func(check.Fact)) { w.onFact = append(w.onFact, f) }

// OnDelivery implements run.World: nobody sees the messages of other processes.
func (w *World) OnDelivery(func(check.Delivery)) {}

// Traced implements run.World: there is no trace.
func (w *World) Traced() bool { return false }

// Believes implements run.World.
func (w *World) Believes(string, string, string, string) {}

// report queues a fact of a node. at is the machine's time, in nanoseconds. It may be called on any goroutine.
func (w *World) report(at int64, f check.Fact) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	heap.Push(&w.facts, moment{at: time.Duration(at), n: w.count, fact: f})
}

// observe reports a fact of the world's own, of now.
func (w *World) observe(name, fact string, fields ...node.Field) {
	w.report(time.Now().UnixNano(), check.Fact{Node: name, Service: "node", Name: fact, Fields: fields})
}

// RunUntil implements run.Timetable.
func (w *World) RunUntil(end time.Duration) error {
	if w.began.IsZero() {
		if err := w.begin(); err != nil {
			return err
		}
	}
	looking := false
	for {
		for f := w.next(); f != nil; f = w.next() {
			f()
			if w.failed != nil {
				return w.failed
			}
		}
		now := w.Now()
		switch {
		case now < end:
		case looking && (w.looks == 0 || now >= end+lookWithin):
			w.freeze(false)
			return w.failed
		case !looking:
			looking = true
			w.look()
			continue
		}
		timer := time.NewTimer(w.pause(now, end))
		select {
		case <-w.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// next is what is to be done now: what was posted, the facts that have waited long enough, what is due; nil for nothing.
func (w *World) next() func() {
	now := time.Now()
	read := w.allRead()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(w.posted) > 0:
		f := w.posted[0]
		w.posted = w.posted[1:]
		return f
	case read && len(w.facts) > 0 && !w.frozen && now.UnixNano()-int64(w.facts[0].at) >= int64(holdBack):
		one := heap.Pop(&w.facts).(moment)
		one.fact.At = max(0, time.Duration(int64(one.at)-w.began.UnixNano()))
		return func() {
			w.remember(one.fact)
			for _, f := range w.onFact {
				f(one.fact)
			}
		}
	case len(w.timed) > 0 && w.timed[0].at <= now.Sub(w.began):
		return heap.Pop(&w.timed).(moment).f
	}
	return nil
}

// allRead reports whether all facts are read that nodes had written when it was called.
func (w *World) allRead() bool {
	return !slices.ContainsFunc(w.nodes, func(m *machine) bool { return m.proc != nil && !m.proc.facts.empty() })
}

func (w *World) freeze(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frozen = on
}

// pause is how long nothing is to be done, as far as is known.
func (w *World) pause(now, end time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	pause := end - now
	if pause <= 0 { // it waits for looks
		pause = end + lookWithin - now
	}
	if len(w.timed) > 0 {
		pause = min(pause, w.timed[0].at-now)
	}
	if len(w.facts) > 0 && !w.frozen {
		pause = min(pause, holdBack-time.Duration(time.Now().UnixNano()-int64(w.facts[0].at)))
	}
	return max(pause, time.Millisecond)
}

// begin waits until all nodes are up that were started: then time begins.
func (w *World) begin() error {
	waits := func(m *machine) bool { return m.proc != nil && !m.up }
	for end := time.Now().Add(startWithin); slices.ContainsFunc(w.nodes, waits); {
		w.mu.Lock()
		posted := w.posted
		w.posted = nil
		w.mu.Unlock()
		for _, f := range posted {
			f()
		}
		if w.failed != nil {
			return w.failed
		}
		if time.Now().After(end) {
			i := slices.IndexFunc(w.nodes, waits)
			return fmt.Errorf("%s is not up after %s:%s", w.nodes[i].name, startWithin, w.nodes[i].proc.tail())
		}
		select {
		case <-w.wake:
		case <-time.After(100 * time.Millisecond):
		}
	}
	w.began = time.Now()
	return nil
}

// at says which node is at an address. It may be called on any goroutine.
func (w *World) at(address string) (name string, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.nodes {
		if m.address == address {
			return m.name, true
		}
	}
	return "", false
}

// node is one that must exist.
func (w *World) node(name string) *machine {
	m := w.byName[name]
	if m == nil {
		panic(fmt.Sprintf("live: no node is called %q", name))
	}
	return m
}

// AddNode implements run.World.
func (w *World) AddNode(cfg sim.NodeConfig) error {
	if w.byName[cfg.Name] != nil {
		return fmt.Errorf("two nodes are called %s", cfg.Name)
	}
	m, err := w.newMachine(cfg)
	if err != nil {
		return fmt.Errorf("%s: %w", cfg.Name, err)
	}
	w.mu.Lock()
	w.nodes = append(w.nodes, m)
	w.mu.Unlock()
	w.byName[cfg.Name] = m
	return nil
}

// Tap implements run.World.
func (w *World) Tap(name string) *sim.Tap { return w.node(name).local.tap }

// Inside implements run.Timetable.
func (w *World) Inside(name string, f func()) {
	if l := w.node(name).local; l != nil {
		l.inside(f)
	}
}

// DiskBytes is how much all nodes have on their disks.
func (w *World) DiskBytes() (n int64) {
	for _, m := range w.nodes {
		n += m.diskBytes()
	}
	return n
}

// Peer is that of a node.
func (w *World) Peer(name string) transport.Peer { return w.node(name).identity.Peer() }

// logger hands what a node in this process logs to the world.
func (w *World) logger(name string) *slog.Logger {
	return slog.New(&logHandler{w: w, name: name})
}
