package counter

import (
	"context"
	"fmt"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// Vocabulary is what stories about counters may say: the service, what users do with
// it, and what is demanded of it.
func Vocabulary() scenario.Vocabulary {
	return scenario.Vocabulary{
		Package:  "example.com/counter",
		Services: []node.Spec{Spec()},
		Actions: []scenario.Action{{
			Name: "add", Doc: "a user adds to each counter in turn, once",
			Params: func() any { return &addParams{N: 1} },
			Run:    add,
		}},
		Checks: []scenario.Check{{
			Name: "nothing-acknowledged-is-lost", Doc: "no counter that runs has less than it acknowledged",
			New: func() check.Checker { return &kept{acknowledged: map[transport.Peer]uint64{}} },
		}},
	}
}

type addParams struct {
	N uint64 `yaml:"n" range:"1..1000" doc:"how much"`
}

// add is one occurrence; n is its number.
func add(ctx context.Context, client node.Env, params any, n int) error {
	peers, _ := client.Wire.Directory().Lookup(Service)
	to := peers[n%len(peers)]
	ctx, cancel := clock.WithTimeout(ctx, client.Loop, 5*time.Second)
	defer cancel()
	resp, err := Add.Call(ctx, client.Wire, to, AddRequest{N: params.(*addParams).N})
	if err == nil {
		client.Observe("acknowledged", node.F("by", to), node.F("total", resp.Total))
	}
	return err
}

// kept compares what users were told with what counters have.
type kept struct {
	check.Tally
	acknowledged map[transport.Peer]uint64
	adds         float64
}

func (*kept) Name() string { return "nothing-acknowledged-is-lost" }

// Fact implements check.OnFact.
func (k *kept) Fact(f check.Fact) error {
	if by, ok := f.Get("by").(transport.Peer); ok && f.Name == "acknowledged" {
		k.acknowledged[by] = max(k.acknowledged[by], uint64(f.Int("total")))
		k.adds++
	}
	return nil
}

// Poll implements check.OnPoll.
func (k *kept) Poll(v check.View) error {
	for _, n := range v.Nodes() {
		c, running := n.Service(Service).(*Counter)
		if !running || !n.Up {
			continue
		}
		k.Evaluated()
		if told := k.acknowledged[n.Peer]; c.Total() < told {
			return fmt.Errorf("%s has acknowledged %d and has %d", n.Name, told, c.Total())
		}
	}
	return nil
}

// Settled implements check.OnSettled.
func (k *kept) Settled(v check.View) error {
	if err := check.Missing(v, Service); err != nil {
		return err
	}
	return k.Poll(v)
}

// Figures implements check.Figures.
func (k *kept) Figures() map[string]float64 { return map[string]float64{"adds.acknowledged": k.adds} }
