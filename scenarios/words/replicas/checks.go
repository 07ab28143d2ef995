// Package replicas are the words about replicated stores, whatever service has
// them.
package replicas

import (
	"fmt"

	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/storage"
)

// Checks are the expectations about the replicated stores of all services.
func Checks() []scenario.Check {
	return []scenario.Check{
		{
			Name: "caught-up-before-serving",
			Doc:  "no replica that has nothing becomes ready while one that has something can be reached",
			New:  func() check.Checker { return newCaughtUp() },
		},
	}
}

// caughtUp watches how replicas open. It counts those that became ready and had
// had nothing, while others had something.
type caughtUp struct {
	check.Tally
	// entries is what ready replicas held when they were last looked at.
	entries map[replicaName]int
	// opening are the replicas that have nothing yet, and who had something when
	// they began.
	opening map[replicaName][]replicaName
	// bare are those that became ready with nothing since the last poll: a node
	// counts as connected only when all its services have started.
	bare map[replicaName][]replicaName

	joins, rescues, mends, writers int
}

type replicaName struct{ service, node string }

func newCaughtUp() *caughtUp {
	return &caughtUp{entries: map[replicaName]int{}, opening: map[replicaName][]replicaName{}, bare: map[replicaName][]replicaName{}}
}

func (*caughtUp) Name() string { return "caught-up-before-serving" }

// Witness implements check.OnWitness.
func (c *caughtUp) Witness(v check.View, f check.Fact) error {
	me := replicaName{f.Service, f.Node}
	switch f.Name {
	case "replica-joined":
		c.joins++
	case "replica-rescued":
		c.rescues++
	case "replica-mended":
		c.mends++
	case "replica-state":
		state := storage.ReplicaState(f.Text("state"))
		if state == storage.ReplicaEmpty {
			delete(c.entries, me)
			c.opening[me] = c.whoHave(v, me)
		}
		if state == storage.ReplicaReady {
			if len(c.opening[me]) > 0 {
				c.Evaluated()
			}
			if f.Int("entries") == 0 && len(c.opening[me]) > 0 {
				c.bare[me] = c.opening[me]
			}
			delete(c.opening, me)
		}
	}
	return nil
}

// judge looks at what has become ready with nothing.
func (c *caughtUp) judge(v check.View, me replicaName) error {
	sources := c.bare[me]
	delete(c.bare, me)
	for _, other := range sources {
		if c.entries[other] > 0 && v.Connected(me.node, other.node) {
			return fmt.Errorf("%s on %s serves and has nothing, though %s has %d entries", me.service, me.node, other.node, c.entries[other])
		}
	}
	return nil
}

// whoHave are the other replicas that have something.
func (c *caughtUp) whoHave(v check.View, me replicaName) (list []replicaName) {
	for _, n := range v.Nodes() {
		other := replicaName{me.service, n.Name}
		if other != me && c.entries[other] > 0 {
			list = append(list, other)
		}
	}
	return list
}

// Poll implements check.OnPoll.
func (c *caughtUp) Poll(v check.View) error {
	for _, n := range v.Nodes() {
		for _, service := range Services {
			name := replicaName{service, n.Name}
			owner, ok := n.Service(service).(Owner)
			if !ok || owner.Replica() == nil || owner.Replica().State() != storage.ReplicaReady {
				delete(c.entries, name)
				continue
			}
			if err := c.judge(v, name); err != nil {
				return err
			}
			s := owner.Replica().Stats()
			c.entries[name] = s.Entries
			c.writers = max(c.writers, s.Writers)
		}
	}
	return nil
}

// Figures implements check.Figures.
func (c *caughtUp) Figures() map[string]float64 {
	return map[string]float64{
		"storage.joins":   float64(c.joins),
		"storage.rescues": float64(c.rescues),
		"storage.mends":   float64(c.mends),
		"storage.writers": float64(c.writers),
	}
}

// Owner is a service whose state is a replicated store.
type Owner interface {
	Replica() storage.Replicated
}

// Services are the services whose stores must be equal in the end.
var Services = []string{"auth", "tns", "patrick", "hoarder"}
