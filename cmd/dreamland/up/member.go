package up

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

const (
	// shapeName is the name of the only configuration below a node's root.
	shapeName = "main"
	// stopWithin bounds the orderly end of a node, as tau start does.
	stopWithin = 40 * time.Second
	// renewAfter is when a node's certificate is signed anew at the start of the universe: it counts for 400 days.
	renewAfter = 100 * 24 * time.Hour
)

// The states of a node.
const (
	stateDown     = "down"
	stateStarting = "starting"
	stateUp       = "up"
	statePaused   = "paused"
	stateFailed   = "failed"
	stateStopping = "stopping"
)

// runner carries out one run of a node, until it has ended.
type runner interface {
	// stop begins its orderly end, kill ends it at once.
	stop()
	kill()
	// pause lets it go on later; false: this kind of runner cannot.
	pause(paused bool) bool
	// ended is closed when it has ended, with why in err.
	ended() <-chan struct{}
	err() error
}

// member is one node of a universe: what outlives its runs, and the one that there is.
type member struct {
	plannedNode
	u     *Universe
	paths shape.Paths
	peer  transport.Peer

	mu       sync.Mutex
	run      runner // nil: it is down
	state    string
	why      string // it has failed
	begun    time.Time
	restarts int
}

// prepare writes what a node reads at its start: its configuration, with where everybody is now, and its certificate.
func (m *member) prepare(cloud transport.Identity) error {
	for _, dir := range []string{filepath.Dir(m.paths.Config), m.paths.Keys} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	s := shape.Defaults()
	if kept, err := shape.Load(m.paths.Config); err == nil {
		s = kept
		if err := forOneself(m.paths.Config); err != nil {
			return err
		}
	} else if exists(m.paths.Config) {
		return fmt.Errorf("node %s: %w: bring it back from a backup, or begin anew: dreamland clean %s", m.Name, err, m.u.place.name())
	} else {
		s.PrivateKey = newKey()
	}
	s.Name, s.Network, s.CloudKey, s.Services = m.Name, m.u.plan.Cloud, cloud.Peer().String(), m.Services
	s.Listen, s.DiskReserve = []string{fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", m.Port)}, "16MiB"
	s.HTTPListen, s.PatrickListen = onLoopback(m.Door), onLoopback(m.Hooks)
	m.peer = s.Identity().Peer()
	return errors.Join(writeFile(m.paths.Config, s.YAML()), m.certify(s, cloud))
}

// onLoopback is the address of a port, "" of none.
func onLoopback(port int) string {
	if port == 0 {
		return ""
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// meet tells the node of the others.
func (m *member) meet(others []*member) error {
	s, err := shape.Load(m.paths.Config)
	if err != nil {
		return err
	}
	s.Peers = nil
	for _, o := range others {
		if o != m && (len(others) <= contactsMax || slices.Contains(o.Services, "seer") || slices.Contains(o.Services, "auth")) {
			s.Peers = append(s.Peers, fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/p2p/%s", o.Port, o.peer))
		}
	}
	return writeFile(m.paths.Config, s.YAML())
}

// contactsMax is up to how many nodes all are told of all.
const contactsMax = 16

// certify gives the node a certificate that the cloud's key signs, unless it has one that is not old.
func (m *member) certify(s *shape.Shape, cloud transport.Identity) error {
	if raw, err := os.ReadFile(m.paths.Certificate); err == nil {
		var p membership.Presented
		if transport.Decode(raw, &p) == nil {
			says, err := p.Says()
			fresh := err == nil && time.Since(time.Unix(says.NotBefore, 0)) < renewAfter
			if fresh && says.Subject == m.peer && slices.Equal(says.Services, slices.Sorted(slices.Values(m.Services))) {
				return nil
			}
		}
	}
	begins := time.Now().Add(-membership.SkewMax)
	c := membership.Certificate{
		Cloud: s.Network, Serial: uint64(begins.UnixNano()), Subject: m.peer, Name: m.Name, Services: slices.Sorted(slices.Values(m.Services)),
		NotBefore: begins.Unix(), NotAfter: begins.Add(membership.ValidityMax).Unix(),
	}
	if slices.Contains(m.Services, "auth") {
		c.Issues = slices.Sorted(slices.Values(shape.ServiceNames()))
	}
	signed, err := membership.Issue(cloud, c)
	if err != nil {
		return fmt.Errorf("node %s: certificate: %w", m.Name, err)
	}
	return writeFile(m.paths.Certificate, transport.Encode(membership.Presented{Certificate: signed}))
}

// client asks the node.
func (m *member) client() *taulive.Client { return taulive.NewClient(m.paths.Socket) }

// start begins a run, unless there is one.
func (m *member) start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run != nil {
		return fmt.Errorf("node %s is %s", m.Name, m.state)
	}
	run, err := m.u.runs(m)
	if err != nil {
		return fmt.Errorf("node %s: %w", m.Name, err)
	}
	if !m.begun.IsZero() {
		m.restarts++
	}
	m.run, m.state, m.why, m.begun = run, stateStarting, "", time.Now()
	m.u.tell(m.Name, stateStarting, "")
	m.u.running.Go(func() {
		<-run.ended()
		m.over(run)
	})
	return nil
}

// over notes that a run has ended.
func (m *member) over(run runner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run != run {
		return
	}
	was := m.state
	m.run, m.state = nil, stateDown
	if err := run.err(); err != nil && was != stateStopping && was != stateDown {
		m.state, m.why = stateFailed, err.Error()
	}
	m.u.tell(m.Name, m.state, m.why)
}

// noteReady notes that the node has answered that it is.
func (m *member) noteReady() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == stateStarting {
		m.state = stateUp
		m.u.tell(m.Name, stateUp, "")
	}
}

// looks asks the node whether it is ready: why it is not, "" if it is.
func (m *member) looks(ctx context.Context) (why string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	page, err := m.client().Page(ctx, "/readyz", 4<<10)
	switch text := strings.TrimSpace(string(page)); {
	case err != nil:
		return "it does not answer yet"
	case text == "ok":
		m.noteReady()
		return ""
	default:
		return strings.ReplaceAll(text, "\n", "; ")
	}
}

// stop ends the run in order, and waits for that.
func (m *member) stop() error { return m.end(stateStopping, runner.stop, stopWithin) }

// kill ends it at once.
func (m *member) kill() error { return m.end(stateDown, runner.kill, stopWithin) }

func (m *member) end(state string, how func(runner), within time.Duration) error {
	m.mu.Lock()
	run := m.run
	if run == nil {
		m.mu.Unlock()
		return fmt.Errorf("node %s is down", m.Name)
	}
	if m.state == statePaused {
		run.pause(false)
	}
	m.state = state
	m.mu.Unlock()
	how(run)
	select {
	case <-run.ended():
		m.over(run)
		return nil
	case <-time.After(within):
		return fmt.Errorf("node %s has not ended within %s", m.Name, within)
	}
}

// pause freezes the node, or lets it go on. how says what that is here.
func (m *member) pause(paused bool) (how string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.run == nil:
		return "", fmt.Errorf("node %s is down", m.Name)
	case (m.state == statePaused) == paused:
		return "", fmt.Errorf("node %s is %s", m.Name, m.state)
	}
	how = "its process is stopped (SIGSTOP)"
	if !m.run.pause(paused) {
		how = "nothing passes between it and other nodes; in one process its own clock and disk go on: dreamland up --processes freezes them too"
	}
	if m.state = statePaused; !paused {
		m.state, how = stateStarting, "it goes on"
	}
	m.u.links.hold(m.Name, paused)
	m.u.tell(m.Name, m.state, "")
	return how, nil
}

// is is the state now.
func (m *member) is() (state, why string, begun time.Time, restarts int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state, m.why, m.begun, m.restarts
}

// damaged says of a node that does not start for its disk what can be done.
func (m *member) damaged(err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("node %s does not start: %w (its disk: %s; its log: %s; if it is lost, dreamland clean %s begins anew)", m.Name, err, m.paths.Data, m.u.place.nodeLog(m.Name), m.u.place.name())
}

func cloudIdentity(text string) (transport.Identity, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != shape.KeyLen {
		return transport.Identity{}, errors.New("it is no key")
	}
	return transport.NewIdentity(raw), nil
}
