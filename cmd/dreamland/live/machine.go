package live

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/rehearsal"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/transport"
)

// shapeName is the name of the only configuration below a node's root.
const shapeName = "main"

// machine is a node: what outlives its processes, and the one that runs.
type machine struct {
	w        *World
	name     string
	identity transport.Identity
	cloud    *cloud
	cfg      sim.NodeConfig
	services []string // for which it is listed
	address  string   // host:port at which it listens, "" if it does not; guarded by the world's lock
	root     string
	shape    *shape.Shape
	local    *local // of a node in this process

	proc     *process // nil: it does not run
	up       bool     // it has started, and was not told to end
	stopping bool
	again    bool // it is to start when it has stopped
	paused   bool
	full     bool
	emptied  bool      // it has lost a disk
	pausedAt time.Time // or went on
	since    time.Duration
	effects  fault.Effects
	seen     map[string]node.Service // what checks see of its services
	wanted   map[string]time.Time    // when somebody has last wanted to see a service
	mayCrash bool                    // a failpoint has just said that it ends the node
}

// secretOf is the secret of which a key is made: the same from the same seed.
func secretOf(seed uint64, name string) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "live/%d/%s", seed, name))
	return sum[:]
}

func (w *World) newMachine(cfg sim.NodeConfig) (*machine, error) {
	secret := secretOf(w.cfg.Seed, cfg.Name)
	m := &machine{
		w: w, name: cfg.Name, cfg: cfg, identity: transport.NewIdentity(secret), cloud: w.cloud(cfg.Cloud), services: cfg.Listed,
		root: filepath.Join(w.cfg.Dir, cfg.Name), seen: map[string]node.Service{}, wanted: map[string]time.Time{},
	}
	if cfg.Listed == nil {
		for _, c := range cfg.Services {
			m.services = append(m.services, c.Spec.Name)
		}
	}
	if w.isLocal(cfg) {
		m.local = newLocal(m)
		return m, nil
	}
	if err := m.move(); err != nil {
		return nil, err
	}
	return m, m.write(secret)
}

// write makes the node's directory: its configuration and certificate.
func (m *machine) write(secret []byte) error {
	paths := shape.PathsOf(m.root, shapeName)
	for _, dir := range []string{filepath.Dir(paths.Config), paths.Keys} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	s := shape.Defaults()
	s.Name, s.Network, s.CloudKey, s.PrivateKey = m.name, m.cloud.network, m.cloud.key.Peer().String(), base64.StdEncoding.EncodeToString(secret)
	for _, c := range m.cfg.Services {
		if !c.Spec.Everywhere {
			s.Services = append(s.Services, c.Spec.Name)
		}
	}
	s.DiskReserve, s.LogLevel = "16MiB", "info"
	m.shape = s
	certificate, err := m.certify()
	if err != nil {
		return err
	}
	return os.WriteFile(paths.Certificate, transport.Encode(certificate), 0o600)
}

// configure writes what the node reads at its start.
func (m *machine) configure() error {
	m.shape.Listen = []string{multiaddr(m.address)}
	if m.shape.Peers == nil { // where they are now; it stays so until somebody writes it anew
		for _, name := range m.w.contactsOf(m) {
			other := m.w.node(name)
			m.shape.Peers = append(m.shape.Peers, multiaddr(other.address)+"/p2p/"+other.identity.Peer().String())
		}
	}
	path := shape.PathsOf(m.root, shapeName).Config
	content := m.shape.YAML()
	if _, err := shape.Read(path, content); err != nil {
		return err
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	r := rehearsal.Rehearsal{Relay: m.w.relay.Address(), Orders: m.w.failpoints.of(m.name)}
	if m.full {
		r.Orders = append(r.Orders, rehearsal.Order{Disk: "full"})
	}
	for _, c := range m.cfg.Services {
		if err := r.Say(c.Spec.Name, c.Settings); err != nil {
			return err
		}
	}
	return r.Save(filepath.Join(m.root, "rehearsal.yaml"))
}

// multiaddr is that of host:port on loopback.
func multiaddr(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return "/ip4/" + host + "/tcp/" + port
}

// move takes a port that nobody has.
func (m *machine) move() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.address = l.Addr().String()
	return nil
}

// start begins a run. That the node is up, it says itself.
func (m *machine) start() {
	if err := m.configure(); err != nil {
		m.w.Fail(fmt.Errorf("%s: %w", m.name, err))
		return
	}
	args := []string{"start", "-s", shapeName, "--root", m.root, "--log-json", "--rehearsal", filepath.Join(m.root, "rehearsal.yaml")}
	if m.emptied {
		args = append(args, "--accept-empty-disk")
	}
	p, err := start(m.w.starter, m.w.cfg.Tau, args, filepath.Join(m.root, "log.jsonl"), hears{
		fact:       m.hear,
		wrong:      func(line string) { m.w.Between(func() { m.wrong(line) }) },
		unreadable: func(err error) { m.w.Between(func() { m.unreadable(err) }) },
		over:       func(p *process) { m.w.Between(func() { m.ended(p) }) },
	})
	if err != nil {
		m.w.Fail(fmt.Errorf("%s: %w", m.name, err))
		return
	}
	m.proc, m.stopping, m.paused, m.mayCrash = p, false, false, false
}

// hear takes a fact of the node, on any goroutine.
func (m *machine) hear(f taulive.Fact) {
	fact := check.Fact{Node: m.name, Service: f.Service, Name: f.Fact, Fields: make([]node.Field, len(f.Fields))}
	for i, field := range f.Fields {
		fact.Fields[i] = node.Field(field)
	}
	m.w.report(f.At.UnixNano(), fact)
	m.w.Between(func() {
		switch {
		case f.Service == "node" && f.Fact == "started":
			m.up, m.since = true, m.w.Now()
		case f.Fact == "failpoint" && m.w.acted(m.name, fact.Text("point")):
			m.mayCrash = true
		}
	})
}

// powerCut is in the error that a node logs which ends by itself: when it has ended, it is known why.
const powerCut = "ends as in a power cut"

// wrong fails the run because of an error in the log.
func (m *machine) wrong(line string) {
	if !strings.Contains(line, powerCut) {
		m.w.Fail(fmt.Errorf("%s logs an error: %s", m.name, line))
	}
}

// unreadable fails the run if the process goes on: what it reports from now on is not known.
func (m *machine) unreadable(err error) {
	if p := m.proc; p != nil {
		m.w.After(time.Second, "a process whose facts cannot be read", func() {
			if m.proc == p && p.alive() {
				m.w.Fail(fmt.Errorf("%s reports what cannot be read: %w", m.name, err))
			}
		})
	}
}

// down forgets the run that has ended.
func (m *machine) down() {
	if m.paused {
		m.effects.Deferred++
	}
	m.proc, m.up, m.stopping, m.paused, m.since = nil, false, false, false, m.w.Now()
	clear(m.seen)
}

// ended is called when a process has ended, in whatever way, unless somebody has waited for it.
func (m *machine) ended(p *process) {
	if m.proc != p {
		return
	}
	stopping, wasUp, mayCrash := m.stopping, m.up, m.mayCrash
	m.down()
	switch {
	case stopping:
		if p.status != nil {
			m.w.observe(m.name, "stop-failed", node.F("error", p.status.Error()))
		} else {
			m.w.observe(m.name, "stopped")
		}
		if m.again {
			m.again = false
			m.start()
		}
	case wasUp && mayCrash:
		m.w.observe(m.name, "crashed", node.F("unsynced", 0), node.F("kept", 0), node.F("disk-lost", false))
	case wasUp:
		m.w.observe(m.name, "crashed", node.F("unsynced", 0), node.F("kept", 0), node.F("disk-lost", false))
		m.w.Fail(fmt.Errorf("%s has ended by itself: %w:%s", m.name, errors.Join(p.status, errEnded), p.tail()))
	case mayCrash:
		m.w.observe(m.name, "crashed", node.F("unsynced", 0), node.F("kept", 0), node.F("disk-lost", false))
		m.w.After(startAgain, "start again", func() { m.w.Start(m.name) })
	default:
		m.w.Fail(fmt.Errorf("%s does not start: %w:%s", m.name, errors.Join(p.status, errEnded), p.tail()))
	}
}

var errEnded = errors.New("the process has ended")

// crash ends the run at once.
func (m *machine) crash(loseDisk bool) (hit bool) {
	p := m.proc
	data := shape.PathsOf(m.root, shapeName).Data
	if _, err := os.Stat(data); err == nil && loseDisk {
		hit = true
	}
	if p == nil && !hit {
		return false
	}
	if p != nil {
		hit = true
		if err := p.kill(); err != nil {
			m.w.Fail(fmt.Errorf("%s: %w", m.name, err))
		}
		m.down()
	}
	if loseDisk {
		m.emptied = true
		if err := os.RemoveAll(data); err != nil {
			m.w.Fail(fmt.Errorf("%s: %w", m.name, err))
		}
	}
	m.w.observe(m.name, "crashed", node.F("unsynced", 0), node.F("kept", 0), node.F("disk-lost", loseDisk))
	return hit
}

// stop begins an orderly end.
func (m *machine) stop() bool {
	if m.proc == nil || m.stopping {
		return false
	}
	m.up, m.stopping = false, true
	m.proc.signal(syscall.SIGTERM)
	return true
}

func (m *machine) pause(paused bool) {
	if m.proc == nil || m.paused == paused {
		return
	}
	m.paused = paused
	if m.pausedAt = time.Now(); paused {
		m.proc.signal(syscall.SIGSTOP)
	} else {
		m.effects.Deferred++
		m.proc.signal(syscall.SIGCONT)
	}
}

// close ends it for good.
func (m *machine) close() error {
	if m.local != nil {
		return m.local.close()
	}
	if m.proc == nil {
		return nil
	}
	return m.proc.kill()
}

// configured are the settings of one of its services.
func (m *machine) configured(service string) any {
	i := slices.IndexFunc(m.cfg.Services, func(c node.Configured) bool { return c.Spec.Name == service })
	if i < 0 {
		return nil
	}
	if c := m.cfg.Services[i]; c.Settings != nil || c.Spec.Settings == nil {
		return c.Settings
	}
	return m.cfg.Services[i].Spec.Settings()
}

// diskBytes is how much is below its data directory.
func (m *machine) diskBytes() (n int64) {
	if m.local != nil {
		return 0
	}
	_ = filepath.WalkDir(shape.PathsOf(m.root, shapeName).Data, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasSuffix(path, "BALLAST") {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
