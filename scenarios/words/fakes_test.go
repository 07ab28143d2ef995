package words

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

// Services that only look like ones: what checks ask of them, answered as a test
// says.

type fake struct{}

func (fake) Start(context.Context) error { return nil }
func (fake) Stop(context.Context) error  { return nil }

type fakeSeer struct {
	fake
	w         *fakeWorld
	live      []string
	unsettled bool
}

// Present is what members-are-known looks at.
func (s *fakeSeer) Present() (list []addressbook.Announcement) {
	for _, name := range s.live {
		list = append(list, addressbook.Announcement{Peer: peerCalled(name), Name: name, Incarnation: 1})
	}
	return list
}

// fakeDiscovery is a discovery that believes something else each second, and at last the last.
type fakeDiscovery struct {
	fake
	w        *fakeWorld
	offering []string
	known    bool
	stamps   []uint64
}

func (d *fakeDiscovery) Book() []addressbook.Announcement {
	at := min(int(d.w.now/time.Second), len(d.stamps)-1)
	return []addressbook.Announcement{{Peer: peerCalled("core-2"), Name: "core-2", Incarnation: d.stamps[at]}}
}

func (d *fakeDiscovery) Wanted() []string { return []string{"seer"} }

func (d *fakeDiscovery) Lookup(string) (list []transport.Peer, known bool) {
	for _, name := range d.offering {
		list = append(list, peerCalled(name))
	}
	return list, d.known
}

func (s *fakeSeer) Settled() bool          { return !s.unsettled }
func (s *fakeSeer) Elapsed() time.Duration { return s.w.now }
func (s *fakeSeer) Live() (list []transport.Peer) {
	for _, name := range s.live {
		list = append(list, peerCalled(name))
	}
	slices.SortFunc(list, transport.Peer.Compare)
	return list
}

type fakePatrick struct {
	fake
	jobs    map[string]patrickapi.Job
	forgot  string
	changes func() // before it is asked
	replica *fakeReplica
}

func (p *fakePatrick) Job(id string) patrickapi.Job { return p.jobs[id] }
func (p *fakePatrick) Status(id string) patrickapi.Status {
	if p.changes != nil {
		p.changes()
	}
	return p.jobs[id].Status
}
func (p *fakePatrick) Forgot(id string) bool       { return p.forgot == id }
func (p *fakePatrick) Overtaken(string) bool       { return false }
func (p *fakePatrick) Source(string) string        { return "" }
func (p *fakePatrick) HasSource(string) bool       { return true }
func (p *fakePatrick) Known() int                  { return len(p.jobs) }
func (p *fakePatrick) Stored() int                 { return 0 }
func (p *fakePatrick) Lease() time.Duration        { return patrick.DefaultSettings().Lease }
func (p *fakePatrick) Replica() storage.Replicated { return p.replica }

type fakeMonkey struct {
	fake
	holding []monkey.Held
}

func (m *fakeMonkey) Holding() []monkey.Held { return m.holding }
func (m *fakeMonkey) Stored() int            { return 0 }

type fakeTNS struct {
	fake
	versions []tnsapi.Version // of one branch, newest first
	torn     []string
	replica  *fakeReplica
}

func (s *fakeTNS) Replica() storage.Replicated { return s.replica }
func (s *fakeTNS) KeepVersions() int           { return 3 }
func (s *fakeTNS) Torn() ([]string, error)     { return s.torn, nil }
func (s *fakeTNS) Branches() (list []tnsapi.BranchRequest, err error) {
	if len(s.versions) > 0 {
		list = append(list, tnsapi.BranchRequest{Project: "p", Branch: "b"})
	}
	return list, nil
}
func (s *fakeTNS) Current(_, _ string) (tnsapi.Version, error) {
	if len(s.versions) == 0 {
		return tnsapi.Version{}, transport.New(transport.NotFound, "tns", "nothing")
	}
	return s.versions[0], nil
}
func (s *fakeTNS) History(_, _ string) ([]tnsapi.Version, error) { return s.versions, nil }

type fakeHoarder struct {
	fake
	held     []string
	reserved int64
	fetching int
	replica  *fakeReplica
}

func (h *fakeHoarder) Reserved() (int64, int) { return h.reserved, h.fetching }

func (h *fakeHoarder) Held() []string              { return h.held }
func (h *fakeHoarder) Replica() storage.Replicated { return h.replica }

// fakeReplica has these entries.
type fakeReplica struct {
	storage.Replicated
	heads   string
	entries []storage.Entry
}

func (r *fakeReplica) State() storage.ReplicaState { return storage.ReplicaReady }
func (r *fakeReplica) Heads() []string             { return []string{r.heads} }
func (r *fakeReplica) Stats() storage.ReplicaStats {
	return storage.ReplicaStats{Entries: len(r.entries)}
}
func (r *fakeReplica) List(below storage.Key) (list []storage.Entry, err error) {
	for _, e := range r.entries {
		if e.Key.Has(below) {
			list = append(list, e)
		}
	}
	return list, nil
}

// runs is a node that is up and runs these services.
func runs(name string, services map[string]node.Service) check.NodeView {
	n := check.NodeView{Name: name, Peer: peerCalled(name), Up: true, ShouldBeUp: true, Disk: memdisk.New(),
		Service: func(of string) node.Service { return services[of] },
		Configured: func(service string) any {
			switch service {
			case "seer":
				return seer.DefaultSettings()
			case "monkey":
				return &monkey.Settings{Slots: 1}
			case "patrick":
				return patrick.DefaultSettings()
			case "tns":
				return &tns.Settings{KeepVersions: 3}
			case "hoarder":
				set := hoarder.DefaultSettings()
				set.Capacity, set.ForgetAfter = 1<<20, time.Minute
				return set
			}
			return nil
		},
	}
	for service := range services {
		n.Services = append(n.Services, service)
	}
	slices.Sort(n.Services)
	return n
}

// down is the same, since it crashed.
func down(n check.NodeView, since time.Duration) check.NodeView {
	n.Up, n.Since, n.Service = false, since, func(string) node.Service { return nil }
	return n
}
