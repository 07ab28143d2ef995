package transport

import "slices"

// Directory says which peers exist and what they offer. It lists members of the cloud, dead or
// alive; seer tells which are alive.
type Directory interface {
	// Peers lists the peers that offer a service, in canonical order.
	Peers(service string) []Peer
}

// StaticDirectory is a Directory from configuration.
type StaticDirectory struct {
	byService map[string][]Peer
}

// NewStaticDirectory returns an empty directory.
func NewStaticDirectory() *StaticDirectory {
	return &StaticDirectory{byService: map[string][]Peer{}}
}

// Add records that p offers services.
func (d *StaticDirectory) Add(p Peer, services ...string) {
	for _, s := range services {
		list := d.byService[s]
		if i, found := slices.BinarySearchFunc(list, p, Peer.Compare); !found {
			d.byService[s] = slices.Insert(slices.Clone(list), i, p)
		}
	}
}

// Peers implements Directory. The caller must not change the slice.
func (d *StaticDirectory) Peers(service string) []Peer { return d.byService[service] }
