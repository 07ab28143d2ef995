package nodetest

import (
	"context"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/transport"
)

// Caller is a member that offers nothing and speaks with the others.
type Caller struct {
	*Machine
	Env node.Env
}

// Caller adds a member and starts it. grants are services that it may offer, though it does not.
func (c *Cloud) Caller(name string, grants ...string) *Caller {
	caller := &Caller{}
	c.Directory.Grant(transport.NewIdentity([]byte(name)).Peer(), grants...)
	caller.Machine = c.Add(name, node.Configured{Spec: Part("caller", func(env node.Env) { caller.Env = env })})
	caller.Start()
	return caller
}

// Do runs f as a task of the caller and waits for it.
func (c *Caller) Do(f func(ctx context.Context)) {
	require.NoError(c.cloud, clock.Do(context.Background(), c.Env.Loop, f))
}

// Part is a stand-in for a service: at its start it registers that service's handlers.
func Part(name string, start func(env node.Env)) node.Spec {
	return node.Spec{Name: name, Doc: "a part of a test", Settings: func() any { return nil }, New: func(env node.Env, _ any) (node.Service, error) {
		return part{env, start}, nil
	}}
}

type part struct {
	env   node.Env
	start func(env node.Env)
}

// Start implements node.Service.
func (p part) Start(context.Context) error {
	p.start(p.env)
	return nil
}

// Stop implements node.Service.
func (p part) Stop(context.Context) error { return nil }
