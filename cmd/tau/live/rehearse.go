package live

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/taucloud/tau/cmd/tau/rehearsal"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fail"
	simulated "github.com/taucloud/tau/scenarios/ports"
	"github.com/taucloud/tau/services"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
)

// Rehearse is a node's part in a rehearsal. All its methods do nothing of a nil one: that is a node like any other.
type Rehearse struct {
	is     *rehearsal.Rehearsal
	facts  reporter
	full   atomic.Bool
	ending map[int]func() // of failpoints, by number
}

// NewRehearse is the part of the file, with the descriptors of package rehearsal. end is called when whoever gives orders is
// gone.
func NewRehearse(path string, end func()) (*Rehearse, error) {
	is, err := rehearsal.Load(path)
	if err != nil {
		return nil, err
	}
	r := &Rehearse{is: is, facts: reporter{out: os.NewFile(rehearsal.FactsFD, "facts")}, ending: map[int]func(){}}
	for _, o := range is.Orders {
		r.obey(o)
	}
	go func() {
		_ = rehearsal.ReadOrders(os.NewFile(rehearsal.OrdersFD, "orders"), r.obey)
		end()
	}()
	return r, nil
}

// obey carries out an order; one at a time. Which failpoints there are, whoever gives orders knows as well: it is built of the same
// source. A wrong one acts nowhere.
func (r *Rehearse) obey(o rehearsal.Order) {
	switch {
	case o.Disk != "":
		r.full.Store(o.Disk == "full")
	case o.Over:
		if end := r.ending[o.Number]; end != nil {
			end()
			delete(r.ending, o.Number)
		}
	default:
		do, err := fail.ParseAction(o.Do)
		if err != nil {
			return
		}
		if end, err := fail.Enable(fail.Rule{Point: o.Failpoint, Do: do, Times: o.Times}); err == nil {
			r.ending[o.Number] = end
		}
	}
}

// files are those of the disk, of which there is none left when it is full.
func (r *Rehearse) files() vfs.FS {
	if r == nil {
		return nil
	}
	return quota{vfs.Default, &r.full}
}

type quota struct {
	vfs.FS
	full *atomic.Bool
}

// GetDiskUsage implements vfs.FS.
func (q quota) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	usage, err := q.FS.GetDiskUsage(path)
	if q.full.Load() {
		usage.AvailBytes = 0
	}
	return usage, err
}

// dialing is how the node's host dials.
func (r *Rehearse) dialing(name string) libp2p.Option {
	if r == nil || r.is.Relay == "" {
		return func(*libp2p.Host) {}
	}
	return libp2p.Through(rehearsal.Dialer{Relay: r.is.Relay, From: name})
}

// observing reports facts beside what is done with them otherwise.
func (r *Rehearse) observing(o node.Observer) node.Observer {
	if r == nil {
		return o
	}
	return reporting{o, &r.facts}
}

// reporter writes facts to whoever rehearses. A fact is written before its service goes on, so that nobody sees what comes of
// something that is not written, also if the process is killed.
type reporter struct {
	mu  sync.Mutex
	out io.Writer
	seq uint64
}

func (r *reporter) report(service, fact string, fields []node.Field) {
	f := Fact{Service: service, Fact: fact, Fields: make([]FactField, len(fields))}
	for i, field := range fields {
		f.Fields[i] = FactField(field)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	f.Seq, f.At = r.seq, time.Now()
	_ = rehearsal.WriteLine(r.out, f) // without a reader, this process ends
}

// ReadFacts hands the facts of a rehearsal to f, until there are no more.
func ReadFacts(from io.Reader, f func(Fact)) error {
	return rehearsal.ReadLines(from, func(line []byte) error {
		var one Fact
		err := json.Unmarshal(line, &one)
		if err != nil {
			return fmt.Errorf("%.300s: %w", line, err)
		}
		f(one)
		return nil
	})
}

type reporting struct {
	node.Observer
	facts *reporter
}

// Observe implements node.Observer.
func (o reporting) Observe(node, service, fact string, fields []node.Field) {
	o.facts.report(service, fact, fields)
	o.Observer.Observe(node, service, fact, fields)
}

// started reports that the node has started, or why not.
func (r *Rehearse) started(n *node.Node, p transport.Peer, err error) {
	switch {
	case r == nil:
	case err != nil:
		r.facts.report("node", "start-failed", []node.Field{node.F("error", err.Error())})
	default:
		r.facts.report("node", "started", []node.Field{node.F("incarnation", n.Incarnation()), node.F("peer", p)})
	}
}

// ports are those of a node, with the simulator's builder in a rehearsal: what it makes of a push is known, and takes as long, as in
// a simulated run.
func (r *Rehearse) ports(cfg Config) services.Ports {
	if r == nil {
		return ports(cfg)
	}
	return simulated.Simulated()
}

// configured has the story's settings.
func (r *Rehearse) configured(spec node.Spec) (node.Configured, error) {
	if r == nil {
		return node.Configured{Spec: spec}, nil
	}
	return r.is.Configure(spec)
}
