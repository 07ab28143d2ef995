// Package gossip is go-libp2p-pubsub's gossipsub, unchanged, as a service in a
// simulated world.
package gossip

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"example.com/gossip/p2phost"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// Service is its name in the directory.
const Service = "gossip"

// Settings of a node.
type Settings struct {
	Degree int `yaml:"degree" range:"1..64" doc:"how many peers a node hands everything on to, at most twice as many"`
}

type sayRequest struct{ Text string }

var say = transport.Method[sayRequest, struct{}]{Name: "gossip/say", Rule: transport.Member}

// Gossip is a running node.
type Gossip struct {
	env      node.Env
	settings Settings
	topic    *pubsub.Topic
}

// Spec is what a node needs to run it.
func Spec() node.Spec {
	return node.Spec{
		Name: Service, Doc: "hands news on by gossipsub",
		Settings: func() any { return &Settings{Degree: pubsub.GossipSubD} },
		New: func(env node.Env, settings any) (node.Service, error) {
			return &Gossip{env: env, settings: *settings.(*Settings)}, nil
		},
	}
}

// Start implements node.Service. Messages are not signed: a service has no key.
func (g *Gossip) Start(context.Context) error {
	h, err := p2phost.New(g.env, Service, pubsub.GossipSubID_v12)
	if err != nil {
		return err
	}
	params := pubsub.DefaultGossipSubParams()
	params.D, params.Dlo, params.Dhi = g.settings.Degree, max(1, g.settings.Degree*2/3), 2*g.settings.Degree
	params.Dout, params.Dscore = params.Dlo/2, params.Dlo
	ps, err := pubsub.NewGossipSub(h.Context(), h, pubsub.WithGossipSubParams(params), pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithMessageIdFn(func(m *pb.Message) string { return fmt.Sprintf("%x", sha256.Sum256(m.Data)) }))
	if err != nil {
		return err
	}
	if g.topic, err = ps.Join("news"); err != nil {
		return err
	}
	sub, err := g.topic.Subscribe()
	if err != nil {
		return err
	}
	p2phost.Each(h, sub.Next, func(_ context.Context, m *pubsub.Message) {
		g.env.Observe("heard", node.F("text", string(m.Data)), node.F("from", m.ReceivedFrom.String()))
	})
	h.Serve()
	say.Serve(g.env.Wire, func(ctx context.Context, _ transport.Peer, r sayRequest) (struct{}, error) {
		var err error
		if left := clock.Offload(ctx, g.env.Loop, func() { err = g.topic.Publish(h.Context(), []byte(r.Text)) }); left != nil {
			return struct{}{}, left
		}
		g.env.Observe("said", node.F("text", r.Text))
		return struct{}{}, err
	})
	return nil
}

// Stop implements node.Service: the host ends with the loop, and the library with it.
func (g *Gossip) Stop(context.Context) error { return nil }

// Vocabulary is what stories about gossip may say.
func Vocabulary() scenario.Vocabulary {
	return scenario.Vocabulary{
		Package: "example.com/gossip", Services: []node.Spec{Spec()},
		Actions: []scenario.Action{{Name: "say", Doc: "a user tells one node something", Params: func() any { return &struct{}{} }, Run: sayOne}},
		Checks:  []scenario.Check{{Name: "everybody-hears", Doc: "what was said is heard by everybody", New: func() check.Checker { return &heard{by: map[string]map[string]int{}} }}},
	}
}

func sayOne(ctx context.Context, client node.Env, _ any, n int) error {
	peers, _ := client.Wire.Directory().Lookup(Service)
	ctx, cancel := clock.WithTimeout(ctx, client.Loop, 5*time.Second)
	defer cancel()
	text := fmt.Sprintf("news %d", n)
	_, err := say.Call(ctx, client.Wire, peers[n%len(peers)], sayRequest{text})
	if err == nil {
		client.Observe("told", node.F("text", text))
	}
	return err
}

// heard counts who has heard what.
type heard struct {
	check.Tally
	by   map[string]map[string]int // by text and node
	told []string
}

func (*heard) Name() string { return "everybody-hears" }

// Fact implements check.OnFact.
func (k *heard) Fact(f check.Fact) error {
	switch f.Name {
	case "told":
		k.told = append(k.told, f.Text("text"))
	case "heard":
		if k.by[f.Text("text")] == nil {
			k.by[f.Text("text")] = map[string]int{}
		}
		k.by[f.Text("text")][f.Node]++
	}
	return nil
}

// Settled implements check.OnSettled.
func (k *heard) Settled(v check.View) error {
	for _, text := range k.told {
		for _, n := range v.Nodes() {
			k.Evaluated()
			if k.by[text][n.Name] == 0 {
				return fmt.Errorf("%s has not heard %q", n.Name, text)
			}
		}
	}
	return nil
}

// Figures implements check.Figures.
func (k *heard) Figures() map[string]float64 {
	total := 0.0
	for _, by := range k.by {
		for _, n := range by {
			total += float64(n)
		}
	}
	return map[string]float64{"heard": total}
}
