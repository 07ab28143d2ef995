// Package evidence is what checks of any service stand on: what users did and
// what must come of it (builds), what an answer is about and when it was asked for,
// how far anybody's word counts (durability, surroundings), in which order things
// are (attempts, heights), and what to look at again (rota).
package evidence

import (
	"math"
	"slices"
	"time"

	"github.com/taucloud/tau/sim/check"
)

// Durability is what acknowledgements are worth: what was promised to be on so
// many disks of a service survives the loss of fewer at once. It believes nobody
// who says that something is durable; that is judged when it is said.
type Durability struct {
	service string
	Members map[string]bool
	// lost are the nodes whose disks lost something and that have not had the time
	// to get it back from others.
	Lost     map[string]*loss
	promises map[string]*promise
	// slack is how long before a promise a copy may have been counted.
	slack time.Duration
}

// loss is a node that lost what was on its disk, or some of it.
type loss struct {
	At time.Duration
	// since is from when on it could get everything back: it was up and could talk
	// to somebody who has lost nothing. -1: it could not.
	since time.Duration
}

type promise struct {
	copies int
	at     time.Duration
	void   bool
}

const (
	// rotten is when a rotten disk loses something: whenever its node starts from it
	// again, also what was written later, until another replica supplies it.
	rotten = time.Duration(math.MaxInt64)
	// regainAfter is how long a node with an empty disk may take to get back what
	// others have.
	regainAfter = 30 * time.Second
)

// NewDurability is for the disks of a service. A copy may have been counted slack
// before it was promised.
func NewDurability(service string, slack time.Duration) Durability {
	return Durability{service: service, Members: map[string]bool{}, Lost: map[string]*loss{}, promises: map[string]*promise{}, slack: slack}
}

// Promise notes that something is said to be on copies disks now.
func (d *Durability) Promise(id string, copies int, at time.Duration) {
	if old := d.promises[id]; old != nil && !old.void && old.copies > copies {
		return
	}
	d.promises[id] = &promise{copies: copies, at: at}
}

// Copies is what was promised of something, 0 if nothing was.
func (d *Durability) Copies(id string) int {
	if p := d.promises[id]; p != nil {
		return p.copies
	}
	return 0
}

// Void reports whether so many disks were lost at once that what was promised may
// be lost too, or nothing was promised.
func (d *Durability) Void(id string) bool {
	p := d.promises[id]
	return p == nil || p.void
}

// Learn learns of lost disks.
func (d *Durability) Learn(f check.Fact) {
	switch {
	case f.Service != "node" || len(d.Members) > 0 && !d.Members[f.Node]:
		return
	case f.Name == "disk-rotted":
		d.Lost[f.Node] = &loss{At: rotten, since: -1}
	case f.Name == "crashed" && f.Text("disk-lost") == "true":
		if old := d.Lost[f.Node]; old == nil || old.At != rotten {
			d.Lost[f.Node] = &loss{At: f.At, since: -1}
		}
	default:
		return
	}
	for _, p := range d.promises {
		p.void = p.void || len(d.missing(p)) >= p.copies
	}
}

// missing are the nodes that lost something since a promise, or while it was made.
func (d *Durability) missing(p *promise) (nodes []string) {
	for node, l := range d.Lost {
		if l.At > p.at-d.slack {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// LostOf is how many of the nodes have lost what was promised, and not got it back.
func (d *Durability) LostOf(id string, has func(node string) bool) int {
	p := d.promises[id]
	if p == nil {
		return 0
	}
	return len(slices.DeleteFunc(d.missing(p), func(node string) bool { return !has(node) }))
}

// Look is to be called with each poll: nodes that can get everything back have
// got it after a while.
func (d *Durability) Look(v check.View) {
	nodes := v.Nodes()
	if len(d.Members) == 0 {
		for _, n := range nodes {
			if slices.Contains(n.Services, d.service) {
				d.Members[n.Name] = true
			}
		}
	}
	for _, n := range nodes {
		l := d.Lost[n.Name]
		switch {
		case l == nil || l.At == rotten:
		case !d.supplied(v, n):
			l.since = -1
		case l.since < 0:
			l.since = v.Now()
		case v.Now()-l.since >= regainAfter:
			delete(d.Lost, n.Name)
		}
	}
}

// supplied reports whether a node can talk to somebody who has everything.
func (d *Durability) supplied(v check.View, n check.NodeView) bool {
	if !n.Up || n.DiskBad {
		return false
	}
	for _, other := range v.Nodes() {
		if d.Members[other.Name] && d.Lost[other.Name] == nil && !other.DiskBad && v.Connected(n.Name, other.Name) {
			return true
		}
	}
	return false
}
