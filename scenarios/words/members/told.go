package members

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// membersAreTold compares what seers tell users, on the wire and by every method,
// with the world: who runs, under which name, in which incarnation, with which
// services and how much room.
type membersAreTold struct {
	check.Tally
	nodes map[transport.Peer]*nodeSeen
	calm  bool
	since time.Duration // of being calm
	// settle is how long a seer may refuse to answer after its start, room how many
	// nodes each has room for, by their settings.
	settle time.Duration
	room   int
}

func newMembersAreTold() *membersAreTold {
	return &membersAreTold{nodes: map[transport.Peer]*nodeSeen{}, room: math.MaxInt}
}

// nodeSeen is what is true of a node.
type nodeSeen struct {
	name     string
	services []string
	capacity int64 // -1: it is no hoarder
	// incarnation counts from the fact that it has started, at startedAt; downAt is
	// since when it does not run, 0 if it does.
	incarnation uint64
	startedAt   time.Duration
	downAt      time.Duration
	highest     uint64
	// clocks are the seers' own, when it went down.
	clocks map[string]seerClock
	// excluded: it counts as down, and who has not heard of that still hears it.
	excluded bool
}

// seerClock is a seer's monotonic clock, which stands still while the node sleeps,
// in the life of the node that began at since.
type seerClock struct{ since, elapsed time.Duration }

// Times after which seers must know.
const (
	// membersKnownAfter: a node that has run for so long, while all were well, is
	// named as it is.
	membersKnownAfter = 30 * time.Second
	// membersGoneAfter: one that has been down for so long is not named any more,
	// whatever the network held back.
	membersGoneAfter = 25 * time.Second
)

func (*membersAreTold) Name() string { return "members-are-told" }

// Poll implements check.OnPoll.
func (c *membersAreTold) Poll(v check.View) error {
	nodes := v.Nodes()
	calm := len(nodes) <= evidence.MembersMax
	for _, n := range nodes {
		c.learn(n)
		calm = calm && n.Up && !n.Paused
	}
	for i := 0; calm && i < len(nodes); i++ {
		if calm = v.Connected(scenario.Client, nodes[i].Name); !calm {
			break
		}
		for _, b := range nodes[i+1:] {
			calm = calm && v.Connected(nodes[i].Name, b.Name)
		}
	}
	if calm && !c.calm {
		c.since = v.Now()
	}
	c.calm = calm
	return nil
}

func (c *membersAreTold) learn(n check.NodeView) {
	s := c.nodes[n.Peer]
	if s == nil {
		s = &nodeSeen{name: n.Name, services: offered(n.Services), capacity: -1, downAt: 1}
		if slices.Contains(n.Services, hoarderapi.Service) {
			s.capacity = evidence.HoarderSettings(n).Capacity
		}
		if set, ok := n.Configured(seerapi.Service).(*seer.Settings); ok {
			c.settle, c.room = max(c.settle, set.SettleAfter), min(c.room, set.MembersMax)
		}
		c.nodes[n.Peer] = s
	}
}

// offered are services in order, without the agent that every node runs.
func offered(services []string) []string {
	list := slices.Sorted(slices.Values(services))
	return slices.DeleteFunc(list, func(s string) bool {
		return s == "" || s == seer.BeaconName || s == seer.DiscoveryName || s == node.MembershipService
	})
}

// Witness implements check.OnWitness.
func (c *membersAreTold) Witness(v check.View, f check.Fact) error {
	if n, found := v.Node(f.Node); found && f.Service == "node" {
		c.learn(n)
	}
	// One that has left is no node any more when it stops.
	if s := c.named(f.Node); s != nil && f.Service == "node" {
		c.node(v, s, f)
	}
	if f.Name == check.Excluded {
		c.calm = false
	}
	if f.Name == "members-told" {
		return c.told(v, f)
	}
	return nil
}

// named is what is known of a node.
func (c *membersAreTold) named(name string) *nodeSeen {
	for _, s := range c.nodes {
		if s.name == name {
			return s
		}
	}
	return nil
}

func (c *membersAreTold) node(v check.View, s *nodeSeen, f check.Fact) {
	switch f.Name {
	case "started":
		s.incarnation, s.startedAt, s.downAt = uint64(f.Int("incarnation")), f.At, 0
		s.highest = max(s.highest, s.incarnation)
	case "crashed", "stopped":
		s.downAt, s.clocks = f.At, seerClocks(v)
		s.excluded = f.Text("excluded") == "true"
	default:
		return
	}
	c.calm = false
}

func seerClocks(v check.View) map[string]seerClock {
	clocks := map[string]seerClock{}
	for _, n := range v.Nodes() {
		if s, ok := n.Service(seerapi.Service).(Seer); ok && n.Up {
			clocks[n.Name] = seerClock{n.Since, s.Elapsed()}
		}
	}
	return clocks
}

// slept is how much less time has passed for one of the seers than in the world
// since a node went down: it may have slept, and tell the others of it.
func (s *nodeSeen) slept(v check.View) (longest time.Duration) {
	for name, now := range seerClocks(v) {
		if then, known := s.clocks[name]; known && then.since == now.since {
			longest = max(longest, v.Now()-s.downAt-(now.elapsed-then.elapsed))
		}
	}
	return longest
}

// toldMember is one member of an answer.
type toldMember struct {
	peer           transport.Peer
	name           string
	incarnation    uint64
	services       []string
	age            time.Duration
	capacity, used int64
}

func parseMember(text string) (m toldMember, err error) {
	parts := strings.Split(text, "|")
	if len(parts) != 7 {
		return m, fmt.Errorf("%q is no member", text)
	}
	if m.peer, err = transport.ParsePeer(parts[0]); err != nil {
		return m, err
	}
	m.name, m.services = parts[1], offered(strings.Split(parts[3], ","))
	m.incarnation, err = strconv.ParseUint(parts[2], 10, 64)
	var numbers [3]int64
	for i, p := range parts[4:] {
		if err == nil {
			numbers[i], err = strconv.ParseInt(p, 10, 64)
		}
	}
	m.age, m.capacity, m.used = time.Duration(numbers[0]), numbers[1], numbers[2]
	return m, err
}

func (c *membersAreTold) told(v check.View, f check.Fact) error {
	how := f.Text("how")
	if by, _ := f.Get("by").(transport.Peer); c.nodes[by] != nil {
		how += " at " + c.nodes[by].name
	}
	if kind := f.Text("error"); kind != "" {
		if kind == transport.Refused.String() && c.lasts(f) {
			c.Evaluated()
			return fmt.Errorf("%s: refused to say who lives, although all are well", how)
		}
		c.Excused("no answer")
		return nil
	}
	var list []toldMember
	for _, word := range strings.Fields(f.Text("members")) {
		m, err := parseMember(word)
		if err != nil {
			return err
		}
		list = append(list, m)
	}
	if !slices.IsSortedFunc(list, func(a, b toldMember) int { return a.peer.Compare(b.peer) }) {
		return fmt.Errorf("%s: the members are not in their order, or twice", how)
	}
	for i, m := range list {
		if i > 0 && m.peer == list[i-1].peer {
			return fmt.Errorf("%s: %s is named twice", how, m.name)
		}
		c.Evaluated()
		if err := c.member(v, f, m); err != nil {
			return fmt.Errorf("%s: %w", how, err)
		}
	}
	return c.complete(f, how, list)
}

// lasts reports whether all nodes have been well for long before the question.
func (c *membersAreTold) lasts(f check.Fact) bool {
	return c.calm && evidence.Began(f)-c.since >= membersKnownAfter+c.settle
}

// member compares what is said of one with what it is.
func (c *membersAreTold) member(v check.View, f check.Fact, m toldMember) error {
	s := c.nodes[m.peer]
	service := f.Text("service")
	switch {
	case s == nil:
		return fmt.Errorf("%s is no node", m.peer)
	case m.name != s.name:
		return fmt.Errorf("%s is called %s", s.name, m.name)
	case service != "" && !slices.Contains(m.services, service):
		return fmt.Errorf("%s does not offer %s", s.name, service)
	case !slices.Equal(m.services, s.services):
		return fmt.Errorf("%s is said to offer %v, and offers %v", s.name, m.services, s.services)
	case m.age < 0 || m.age > seerGoneBound:
		return fmt.Errorf("%s is named, and was heard %v ago", s.name, m.age)
	case s.downAt != 0 && !s.excluded && f.Text("how") != "follower" && m.age+m.age/8 < evidence.Began(f)-s.downAt-time.Second-s.slept(v):
		return fmt.Errorf("%s is said to have been heard %v ago, and has been down for %v", s.name, m.age, f.At-s.downAt)
	case m.incarnation > s.highest || m.incarnation == 0:
		return fmt.Errorf("%s is said to be in incarnation %d, and has never been", s.name, m.incarnation)
	case m.capacity != -1 && m.capacity != s.capacity || m.used < 0 || m.used > 0 && m.used > s.capacity:
		return fmt.Errorf("%s is said to have %d bytes of %d used, and has %d", s.name, m.used, m.capacity, s.capacity)
	}
	if !c.lasts(f) {
		return nil
	}
	switch {
	case s.downAt != 0 && evidence.Began(f)-s.downAt >= membersGoneAfter:
		return fmt.Errorf("%s has been down for %v", s.name, f.At-s.downAt)
	case s.downAt == 0 && evidence.Began(f)-s.startedAt >= membersKnownAfter && m.incarnation != s.incarnation:
		return fmt.Errorf("%s is said to be in incarnation %d, and is in %d", s.name, m.incarnation, s.incarnation)
	case s.capacity >= 0 && m.capacity < 0:
		return fmt.Errorf("%s does not say how much room it has", s.name)
	}
	return nil
}

// complete demands that nobody is missing who has long been there.
func (c *membersAreTold) complete(f check.Fact, how string, list []toldMember) error {
	if !c.lasts(f) || f.Text("partial") == "true" {
		c.Excused("not all nodes were well")
		return nil
	}
	if len(c.nodes) > c.room {
		c.Excused("a seer has no room for all nodes")
		return nil
	}
	for _, peer := range sorted(c.nodes) {
		s := c.nodes[peer]
		service := f.Text("service")
		if s.downAt != 0 || evidence.Began(f)-s.startedAt < membersKnownAfter || service != "" && !slices.Contains(s.services, service) {
			continue
		}
		c.Evaluated()
		if !slices.ContainsFunc(list, func(m toldMember) bool { return m.peer == peer }) {
			return fmt.Errorf("%s: %s is missing among %d, of those that offer %q", how, s.name, len(list), service)
		}
	}
	return nil
}

func sorted[T any](byPeer map[transport.Peer]T) []transport.Peer {
	return slices.SortedFunc(maps.Keys(byPeer), transport.Peer.Compare)
}
