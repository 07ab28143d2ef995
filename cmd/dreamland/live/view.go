package live

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

const (
	// lookTimeout bounds the question to a service what it knows.
	lookTimeout = 5 * time.Second
	// promptly is the largest delay by faults at which two nodes still count as connected, lossPromptly what may be lost, as in the
	// simulator.
	promptly = time.Second
	// wantedFor is for how long a service is asked again and again after somebody has wanted to see it.
	wantedFor    = 3 * time.Second
	lossPromptly = 0.01
)

// Nodes implements check.View.
func (w *World) Nodes() (views []check.NodeView) {
	for _, m := range w.nodes {
		if m.name != m.cloud.finder {
			views = append(views, m.view())
		}
	}
	return views
}

// Node implements check.View.
func (w *World) Node(name string) (check.NodeView, bool) {
	m := w.byName[name]
	if m == nil {
		return check.NodeView{}, false
	}
	return m.view(), true
}

func (m *machine) view() check.NodeView {
	return check.NodeView{
		Name: m.name, Peer: m.identity.Peer(), Services: m.services, Up: m.up && !m.stopping, Paused: m.paused, DiskBad: m.full,
		Since: m.since, Configured: m.configured, Service: m.service,
	}
}

// present is a service of which nothing is seen but that its node runs.
type present struct{}

func (present) Start(context.Context) error { return nil }
func (present) Stop(context.Context) error  { return nil }

// service is what checks see of one.
func (m *machine) service(name string) node.Service {
	if !m.up || m.stopping {
		return nil
	}
	if !slices.ContainsFunc(m.cfg.Services, func(c node.Configured) bool { return c.Spec.Name == name }) {
		return nil
	}
	m.wanted[name] = time.Now()
	if slices.ContainsFunc(m.w.cfg.Words.Remotes, func(r scenario.Remote) bool { return r.Service == name }) {
		return m.seen[name] // nil: it has not been asked yet, or does not answer
	}
	return present{}
}

// Connected implements check.View.
func (w *World) Connected(a, b string) bool {
	na, nb := w.node(a), w.node(b)
	if !na.up || !nb.up || na.paused || nb.paused {
		return false
	}
	return na == nb || w.prompt(a, b) && w.prompt(b, a)
}

func (w *World) prompt(from, to string) bool {
	s := w.links(from, to)
	return !s.Cut && !s.Held && !s.Refused && s.Shape.LatencyMax <= promptly && s.Shape.Loss <= lossPromptly
}

// remember keeps a fact for the remotes that want it.
func (w *World) remember(f check.Fact) {
	for _, r := range w.cfg.Words.Remotes {
		if slices.Contains(r.Facts, f.Name) {
			w.heard[r.Service] = append(w.heard[r.Service], f)
		}
	}
}

// look has the users of each cloud ask its services what checks want to see of them. The answers are seen with later looks.
func (w *World) look() {
	for _, m := range w.nodes {
		if !m.up || m.paused || m.local != nil || m.name == m.cloud.finder {
			continue
		}
		for _, r := range w.cfg.Words.Remotes {
			if client := w.clientOf(m); client != nil && !m.asked[r.Service] && time.Since(m.wanted[r.Service]) < wantedFor {
				m.ask(client, r)
			}
		}
	}
}

// clientOf are the users of a node's cloud.
func (w *World) clientOf(m *machine) *local {
	for _, other := range w.nodes {
		if other.local != nil && !other.cfg.Hostile && other.cloud == m.cloud && other.up {
			return other.local
		}
	}
	return nil
}

func (m *machine) ask(client *local, r scenario.Remote) {
	p, at := m.proc, scenario.Seen{Node: m.name, Peer: m.identity.Peer(), Settings: m.configured(r.Service), Facts: m.w.heard[r.Service]}
	m.asked[r.Service] = true
	env := client.env
	env.Loop.Go("look", func(ctx context.Context) {
		ctx, cancel := clock.WithTimeout(ctx, env.Loop, lookTimeout)
		defer cancel()
		s, err := r.Look(ctx, env, at)
		m.w.Between(func() {
			m.asked[r.Service] = false
			if err != nil {
				s = nil
			}
			if m.proc == p {
				m.seen[r.Service] = s
			}
		})
	})
}
