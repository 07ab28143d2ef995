package transport

import (
	"slices"
	"sync"
)

// Directory says which peers exist and what they offer. It lists members of the cloud, dead or
// alive; seer tells which are alive.
type Directory interface {
	// Peers lists the peers that offer a service, in canonical order.
	Peers(service string) []Peer
}

// StaticDirectory is a Directory from configuration, and the Authority that goes
// with it: whoever is listed is a member, and may offer what it is listed for. Tests add to it
// while nodes use it.
type StaticDirectory struct {
	mu        sync.RWMutex
	byService map[string][]Peer
	grants    map[Peer]Grants
}

var _ Authority = (*StaticDirectory)(nil)

// NewStaticDirectory returns an empty directory.
func NewStaticDirectory() *StaticDirectory {
	return &StaticDirectory{byService: map[string][]Peer{}, grants: map[Peer]Grants{}}
}

// Add records that p is a member and offers services, if any.
func (d *StaticDirectory) Add(p Peer, services ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.grant(p, services)
	for _, s := range services {
		list := d.byService[s]
		if i, found := slices.BinarySearchFunc(list, p, Peer.Compare); !found {
			d.byService[s] = slices.Insert(slices.Clone(list), i, p)
		}
	}
}

// Grant records that p is a member and may offer services, without listing it for them.
func (d *StaticDirectory) Grant(p Peer, services ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.grant(p, services)
}

func (d *StaticDirectory) grant(p Peer, services []string) {
	g := d.grants[p]
	for _, s := range services {
		if i, found := slices.BinarySearch(g.Services, s); !found {
			g.Services = slices.Insert(slices.Clone(g.Services), i, s)
		}
	}
	d.grants[p] = g
}

// Grants implements Authority. The caller must not change the slice.
func (d *StaticDirectory) Grants(p Peer) (g Grants, known bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	g, known = d.grants[p]
	return g, known
}

// Peers implements Directory. The caller must not change the slice.
func (d *StaticDirectory) Peers(service string) []Peer {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.byService[service]
}
