package transport

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/taucloud/tau/clock"
)

// Directory is what this node has learned of the members of the cloud, dead or alive, and of what
// they offer; seer tells which are alive. It is safe for use on any goroutine, and does not wait.
type Directory interface {
	// Lookup lists the peers that are known to offer a service, in canonical order. known: these are
	// all, as far as anybody could tell. Otherwise there may be others, and no peers does not mean
	// that there are none; see [PresenceOf].
	Lookup(service string) (peers []Peer, known bool)
	// Version grows whenever an answer changes.
	Version() uint64
	// Watch calls changed after each change of an answer, on any goroutine, until stop is called;
	// changed does not wait, and may be called once more after that.
	Watch(changed func()) (stop func())
}

// Presence is what a Directory says of a service: the three answers to whether anybody offers it.
type Presence int

const (
	// Unknown: nobody is known, and there may be somebody.
	Unknown Presence = iota
	// Nobody: the cloud is known to have no member that offers it.
	Nobody
	// Somebody offers it.
	Somebody
)

// PresenceOf is what a directory says of a service.
func PresenceOf(d Directory, service string) Presence {
	switch peers, known := d.Lookup(service); {
	case len(peers) > 0:
		return Somebody
	case known:
		return Nobody
	}
	return Unknown
}

// AwaitDirectory waits until a directory says what ready wants to hear; ready is asked again after
// each change, in a turn of loop. The error is that of ctx's end.
func AwaitDirectory(ctx context.Context, loop clock.Loop, d Directory, ready func() bool) error {
	for !ready() {
		var stop func()
		err := loop.Park(ctx, func(wake func()) {
			before := d.Version()
			stop = d.Watch(wake)
			if d.Version() != before {
				wake()
			}
		})
		if stop != nil {
			stop()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// StaticDirectory is a Directory for tests, and for simulated clouds without a seer, and the Authority
// that goes with it: whoever is listed is a member, and may offer what it is listed for. Tests add to it
// while nodes use it.
type StaticDirectory struct {
	mu        sync.RWMutex
	byService map[string][]Peer
	grants    map[Peer]Grants
	partial   bool
	version   uint64
	watchers  Watchers
}

var _ Authority = (*StaticDirectory)(nil)

// NewStaticDirectory returns an empty directory.
func NewStaticDirectory() *StaticDirectory {
	return &StaticDirectory{byService: map[string][]Peer{}, grants: map[Peer]Grants{}}
}

// Add records that p is a member and offers services, if any.
func (d *StaticDirectory) Add(p Peer, services ...string) {
	d.add(p, services)
	d.watchers.Tell()
}

func (d *StaticDirectory) add(p Peer, services []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.version++
	d.grant(p, services)
	for _, s := range services {
		list := d.byService[s]
		if i, found := slices.BinarySearchFunc(list, p, Peer.Compare); !found {
			d.byService[s] = slices.Insert(slices.Clone(list), i, p)
		}
	}
}

// Remove takes p out of all lists. What it may do it may still.
func (d *StaticDirectory) Remove(p Peer) {
	d.mu.Lock()
	d.version++
	for _, s := range slices.Sorted(maps.Keys(d.byService)) {
		d.byService[s] = slices.DeleteFunc(slices.Clone(d.byService[s]), func(q Peer) bool { return p == q })
	}
	d.mu.Unlock()
	d.watchers.Tell()
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

// SetPartial says whether there may be members that are not listed, of any service. At first there are none.
func (d *StaticDirectory) SetPartial(partial bool) {
	d.mu.Lock()
	d.partial = partial
	d.version++
	d.mu.Unlock()
	d.watchers.Tell()
}

// Lookup implements Directory. The caller must not change the slice.
func (d *StaticDirectory) Lookup(service string) (peers []Peer, known bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.byService[service], !d.partial
}

// Peers is the list of Lookup.
func (d *StaticDirectory) Peers(service string) []Peer {
	peers, _ := d.Lookup(service)
	return peers
}

// Version implements Directory.
func (d *StaticDirectory) Version() uint64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.version
}

// Watch implements Directory.
func (d *StaticDirectory) Watch(changed func()) (stop func()) { return d.watchers.Add(changed) }

// Watchers are those who want to hear of the changes of a Directory. The zero value has none.
type Watchers struct {
	mu   sync.Mutex
	list []*watcher // in the order in which they came
}

type watcher struct{ changed func() }

// Add adds one, until stop is called.
func (w *Watchers) Add(changed func()) (stop func()) {
	one := &watcher{changed}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, one)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.list = slices.DeleteFunc(slices.Clone(w.list), func(x *watcher) bool { return x == one })
	}
}

// Tell calls all, in order, without a lock of its own.
func (w *Watchers) Tell() {
	w.mu.Lock()
	list := slices.Clip(w.list)
	w.mu.Unlock()
	for _, one := range list {
		one.changed()
	}
}
