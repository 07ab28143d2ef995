package run

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// attackers carry out attacks, on the hostile nodes of the scenario. What they do is no workload:
// nothing is expected of it, and its errors are nobody's.
type attackers struct {
	world   World
	lives   map[string]*hostileLife // by node: the current ones
	targets []scenario.Target
	cloudOf map[string]string
	counts  []report.Attack // in the order in which they first began
}

// hostileLife is one incarnation of a hostile node.
type hostileLife struct {
	incarnation uint64
	envs        map[string]node.Env // by what it pretends to run
	memory      map[string]any
}

// hostileNode is the configuration of a node that attacks.
func (r *runner) hostileNode(n scenario.Node) sim.NodeConfig {
	cfg := sim.NodeConfig{Name: n.Name, Stranger: n.Stranger, Hostile: true, Later: n.Later, Cloud: n.Cloud}
	pretends := n.Bad
	if n.Stranger {
		pretends = []string{scenario.Stranger}
	}
	for _, service := range pretends {
		cfg.Services = append(cfg.Services, node.Configured{Spec: r.attackers.spec(service)})
	}
	cfg.Services = append(cfg.Services, n.Services...)
	return cfg
}

// spec is what runs in place of a service: it hands its Env to the attacks.
func (a *attackers) spec(service string) node.Spec {
	return node.Spec{
		Name:     service,
		Settings: func() any { return nil },
		New: func(env node.Env, _ any) (node.Service, error) {
			return &hostile{attackers: a, service: service, env: env}, nil
		},
	}
}

type hostile struct {
	attackers *attackers
	service   string
	env       node.Env
}

// Start implements node.Service.
func (h *hostile) Start(context.Context) error {
	lives := h.attackers.lives
	if lives[h.env.Node] == nil || lives[h.env.Node].incarnation != h.env.Incarnation {
		lives[h.env.Node] = &hostileLife{h.env.Incarnation, map[string]node.Env{}, map[string]any{}}
	}
	lives[h.env.Node].envs[h.service] = h.env
	return nil
}

// Stop implements node.Service.
func (h *hostile) Stop(context.Context) error { return nil }

// run begins one occurrence of an attack on each of its nodes that is up.
func (a *attackers) run(s scenario.Step) {
	for _, name := range s.By {
		life := a.lives[name]
		if view, _ := a.world.Node(name); !view.Up || life == nil {
			continue
		}
		a.count(s.Action.Name)
		tap := a.world.Tap(name)
		by := scenario.Attacker{Envs: life.envs, Memory: life.memory, Cloud: a.cloudOf[name], Dial: tap.Dial, Targets: a.targets}
		env := by.Env("")
		env.Loop.Go(fmt.Sprintf("%s %d", s.Action.Name, s.N), func(ctx context.Context) {
			err := s.Action.Attack(ctx, by, s.Params, s.N)
			if err != nil && !errors.Is(err, clock.ErrStopped) {
				env.Observe("attack-ended", node.F("error", err.Error()))
			}
		})
	}
}

func (a *attackers) count(name string) {
	i := slices.IndexFunc(a.counts, func(c report.Attack) bool { return c.Name == name })
	if i < 0 {
		i = len(a.counts)
		a.counts = append(a.counts, report.Attack{Name: name})
	}
	a.counts[i].Times++
}

// deliver passes a delivery on to the checkers.
func (r *runner) deliver(d check.Delivery) {
	if r.judges.deliver(d) != nil {
		r.world.Fail(errViolated)
	}
}
