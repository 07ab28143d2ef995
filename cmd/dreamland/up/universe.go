package up

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/taucloud/tau/cmd/dreamland/forge"
	"github.com/taucloud/tau/cmd/dreamland/live/relay"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/yamltree"
)

// wishes are what whoever starts a universe has said.
type wishes struct {
	nodes            []string // NAME=SERVICES
	shape            []shapedNode
	ephemeral        bool
	processes        bool
	http, admin, git int
	tie              func(*exec.Cmd) error
	told             func(event) // of what happens; nil: nobody
}

// event is something that happened to a node.
type event struct {
	At    time.Time `json:"at"`
	Node  string    `json:"node"`
	State string    `json:"state"`
	Why   string    `json:"why,omitempty"`
}

// Universe is one that runs.
type Universe struct {
	place  place
	plan   *plan
	wishes wishes
	begun  time.Time
	fresh  bool // its plan was made for this run
	token  string
	cloud  transport.Identity
	key    string // the cloud's, as its file has it

	unlock  func()
	log     *slog.Logger
	logFile *rolling
	members []*member
	links   links
	relay   *relay.Relay
	forge   *forge.Forge
	front   *front
	deliver *deliverer
	at      ports
	servers []*server
	running sync.WaitGroup // runs of nodes
	over    chan struct{}  // closed when somebody wants it to end
	end     sync.Once
}

// open makes a universe run, or says why it cannot; then nothing of it runs.
func open(p place, w wishes) (u *Universe, err error) {
	unlock, err := p.take()
	if errors.Is(err, errRuns) {
		return nil, runsAlready(p)
	}
	if err != nil {
		return nil, err
	}
	u = &Universe{place: p, wishes: w, begun: time.Now(), unlock: unlock, over: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.close())
		}
	}()
	if err := os.Remove(p.run()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return u, err
	}
	if err := u.prepare(); err != nil {
		return u, err
	}
	if err := u.serve(); err != nil {
		return u, err
	}
	for _, m := range u.members {
		if err := m.start(); err != nil {
			return u, err
		}
	}
	u.forge.Resume()
	return u, writeJSON(p.run(), u.says(false))
}

func runsAlready(p place) error {
	r, said := p.running()
	if !said {
		return fmt.Errorf("universe %s is being started, or cleaned, by another process", p.name())
	}
	return fmt.Errorf("universe %s runs already (process %d, %s): dreamland status -u %[1]s shows it, dreamland down %[1]s ends it", p.name(), r.PID, r.Admin)
}

// prepare reads or makes the plan, and what nodes read.
func (u *Universe) prepare() error {
	var err error
	if u.plan, err = readPlan(u.place); err != nil {
		return err
	}
	u.fresh = u.plan == nil || u.plan.Ephemeral // of one that was killed
	switch {
	case !u.fresh && u.wishes.ephemeral:
		return fmt.Errorf("universe %s is there, and what it has is kept: choose another name for one that is gone when it ends, or dreamland clean %[1]s", u.place.name())
	case !u.fresh && len(u.wishes.nodes) > 0:
		return fmt.Errorf("universe %s is there with its nodes: --node is for a new one; dreamland clean %[1]s", u.place.name())
	case u.fresh:
		if err := u.place.clear(); err != nil {
			return err
		}
		if u.plan, err = newPlan(u.place, u.wishes); err != nil {
			return err
		}
	}
	u.plan.wish(u.wishes)
	if err := u.plan.fit(u.place.name(), u.wishes.shape); err != nil {
		return err
	}
	u.plan.grown()
	if u.logFile, err = openLog(u.place.log()); err != nil {
		return err
	}
	u.log = logger(u.logFile)
	if err := u.plan.place(reserved(u.place)); err != nil {
		return err
	}
	if err := writeJSON(u.place.plan(), u.plan); err != nil {
		return err
	}
	if u.token, err = keep(u.place.token(), newToken); err != nil {
		return err
	}
	return u.assemble()
}

// assemble makes the nodes.
func (u *Universe) assemble() error {
	var err error
	if u.key, err = keep(u.place.cloudKey(), newKey); err != nil {
		return err
	}
	if u.cloud, err = cloudIdentity(u.key); err != nil {
		return fmt.Errorf("%s is damaged: bring it back from a backup, or begin anew: dreamland clean %s", u.place.cloudKey(), u.place.name())
	}
	for _, n := range u.plan.Nodes {
		m := &member{plannedNode: n, u: u, paths: shape.PathsOf(u.place.node(n.Name), shapeName), state: stateDown}
		if err := m.prepare(u.cloud); err != nil {
			return err
		}
		u.members = append(u.members, m)
	}
	for _, m := range u.members {
		if err := m.meet(u.members); err != nil {
			return err
		}
	}
	u.relay, err = relay.Listen(u.nodeAt)
	if err == nil {
		u.links.to = u.relay
	}
	return err
}

// nodeAt is the node that listens at host:port.
func (u *Universe) nodeAt(address string) (string, bool) {
	for _, m := range u.members {
		if address == fmt.Sprintf("127.0.0.1:%d", m.Port) {
			return m.Name, true
		}
	}
	return "", false
}

// says is what a universe says of itself.
func (u *Universe) says(ready bool) Running {
	r := Running{Name: u.place.name(), Admin: local(u.plan.Admin), Git: u.place.pushedTo(u.plan), Token: u.place.token(), Dir: u.place.dir, PID: os.Getpid(), Ready: ready, HTTP: u.http(), Nodes: []string{}}
	for _, m := range u.members {
		r.Nodes = append(r.Nodes, m.Name)
	}
	return r
}

// http is where projects answer, "" if no node does.
func (u *Universe) http() string {
	if slices.ContainsFunc(u.members, func(m *member) bool { return m.Door != 0 }) {
		return fmt.Sprintf("http://localhost:%d", u.plan.HTTP)
	}
	return ""
}

// pushedTo is where the forge of the universe is. Its name is in it, as another universe may listen at its port by and by.
func (p place) pushedTo(pl *plan) string { return local(pl.Git) + "/" + p.name() }

func local(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }

// tell passes news of a node on.
func (u *Universe) tell(node, state, why string) {
	u.log.Info("node", slog.String("node", node), slog.String("state", state), slog.String("why", why))
	if u.wishes.told != nil {
		u.wishes.told(event{time.Now(), node, state, why})
	}
}

// ready waits until all nodes serve. An error: one of them has ended instead.
func (u *Universe) ready(ctx context.Context) error {
	pending := slices.Clone(u.members)
	for {
		var failed error
		looked := make(map[*member]string, len(pending))
		var mu sync.Mutex
		var looking sync.WaitGroup
		for _, m := range pending {
			looking.Go(func() {
				why := m.looks(ctx)
				mu.Lock()
				defer mu.Unlock()
				looked[m] = why
			})
		}
		looking.Wait()
		pending = slices.DeleteFunc(pending, func(m *member) bool {
			state, why, _, _ := m.is()
			if state == stateFailed {
				failed = m.damaged(errors.New(why))
			}
			return state != stateFailed && looked[m] == ""
		})
		switch {
		case failed != nil:
			return failed
		case len(pending) == 0:
			u.whileItRuns(u.deliver.hooks.moved)
			return writeJSON(u.place.run(), u.says(true))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-u.over:
			return errEnded
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// whileItRuns does something beside, until the universe is told to end.
func (u *Universe) whileItRuns(do func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	u.running.Go(func() {
		defer cancel()
		do(ctx)
	})
	u.running.Go(func() {
		defer cancel()
		select {
		case <-u.over:
		case <-ctx.Done():
		}
	})
}

// errEnded is why a universe is not ready that somebody has ended.
var errEnded = errors.New("the universe was told to end")

// finish lets the universe end.
func (u *Universe) finish() { u.end.Do(func() { close(u.over) }) }

// close ends all of it in order: nothing of it is left running, and its ports are free.
func (u *Universe) close() error {
	u.finish()
	var errs []error
	if u.forge != nil {
		u.forge.Close()
	}
	for _, s := range u.servers {
		s.close()
	}
	var stopping sync.WaitGroup
	var mu sync.Mutex
	for _, m := range u.members {
		if state, _, _, _ := m.is(); state == stateDown || state == stateFailed {
			continue
		}
		stopping.Go(func() {
			if err := m.stop(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, errors.Join(err, m.kill()))
			}
		})
	}
	stopping.Wait()
	u.running.Wait()
	if u.relay != nil {
		u.relay.Close()
	}
	if u.logFile != nil {
		_ = u.logFile.Close()
	}
	if err := os.Remove(u.place.run()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	if u.plan != nil && u.plan.Ephemeral {
		errs = append(errs, u.place.remove())
	}
	u.unlock()
	return errors.Join(errs...)
}

// clear removes all that a universe has, but for its lock.
func (p place) clear() error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if path := p.dir + string(os.PathSeparator) + e.Name(); path != p.lock() {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// member is the node of a name.
func (u *Universe) member(name string) (*member, error) {
	for _, m := range u.members {
		if m.Name == name {
			return m, nil
		}
	}
	return nil, noNode(name, u.names())
}

func (u *Universe) names() (names []string) {
	for _, m := range u.members {
		names = append(names, m.Name)
	}
	return names
}

func noNode(name string, names []string) error {
	return noSuch{fmt.Errorf("there is no node %.64q: %s", name, yamltree.SuggestFew(name, names, 16))}
}

// listen opens a port of the universe on loopback. One that was chosen just now, and that somebody took meanwhile, is
// chosen again; one that somebody knows, as it was given or has been there before, is not.
func (u *Universe) listen(port *int, given int, flag string) (net.Listener, error) {
	for {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
		switch {
		case !errors.Is(err, syscall.EADDRINUSE):
			return l, err
		case given != 0 || !u.fresh:
			return nil, fmt.Errorf("another process has the port %d of universe %s (ss -lntp 'sport = :%[1]d' shows which): stop it, or choose another port with --%[3]s, which the universe then keeps", *port, u.place.name(), flag)
		}
		if *port, err = freePort(0, reserved(u.place)); err != nil {
			return nil, err
		}
	}
}

// askable are nodes that answer, those that run one of the services first.
func (u *Universe) askable(services ...string) (list []*member) {
	for _, m := range u.members {
		if state, _, _, _ := m.is(); state == stateUp {
			list = append(list, m)
		}
	}
	slices.SortStableFunc(list, func(a, b *member) int {
		rank := func(m *member) int {
			for i, s := range services {
				if slices.Contains(m.Services, s) {
					return i
				}
			}
			return len(services)
		}
		return rank(a) - rank(b)
	})
	return list
}

// ask puts a question to a node, to another one if that does not answer.
func (u *Universe) ask(ctx context.Context, services []string, path string, post, get, into any) error {
	var errs []string
	for _, m := range u.askable(services...) {
		if path == "auth" && !m.runs("auth") {
			continue // it is asked where auth runs
		}
		err := m.client().Ask(ctx, path, post, get, into)
		if err == nil || isFailure(err) || ctx.Err() != nil {
			return err
		}
		errs = append(errs, fmt.Sprintf("%s: %v", m.Name, err))
	}
	if len(errs) == 0 {
		return errors.New("no node of the universe answers: dreamland status shows them")
	}
	return errors.New(strings.Join(errs, "; "))
}
