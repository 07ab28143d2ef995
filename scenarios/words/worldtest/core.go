package worldtest

import (
	"context"
	"fmt"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/sim"
)

// Core has three seers, three tns and some idle nodes.
func Core(w *sim.World, idle int, client func(ctx context.Context, env node.Env)) []string {
	var names []string
	add := func(name string, specs ...node.Spec) {
		cfg := sim.NodeConfig{Name: name}
		if name == "client" { // it publishes, as builders do
			cfg.Granted = []string{monkeyapi.Service}
		}
		for _, s := range specs {
			cfg.Services = append(cfg.Services, node.Configured{Spec: s})
		}
		if err := w.AddNode(cfg); err != nil {
			panic(err)
		}
		names = append(names, name)
		w.At(0, "start "+name, func() { w.Start(name) })
	}
	for i := range 3 {
		add(fmt.Sprintf("core-%d", i+1), seer.Spec(), tns.Spec(), seer.BeaconSpec())
	}
	for i := range idle {
		add(fmt.Sprintf("idle-%d", i+1), seer.BeaconSpec())
	}
	add("client", taskSpec(client))
	return names
}

type taskService struct {
	env node.Env
	f   func(ctx context.Context, env node.Env)
}

func (s *taskService) Start(context.Context) error {
	s.env.Loop.Go("client", func(ctx context.Context) { s.f(ctx, s.env) })
	return nil
}

func (s *taskService) Stop(context.Context) error { return nil }

func taskSpec(f func(ctx context.Context, env node.Env)) node.Spec {
	return node.Spec{Name: "client", Settings: func() any { return nil }, New: func(env node.Env, _ any) (node.Service, error) {
		return &taskService{env: env, f: f}, nil
	}}
}
