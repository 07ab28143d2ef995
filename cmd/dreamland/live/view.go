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
	// lookWithin bounds the wait for what services know: of those that have not answered by then nothing is seen.
	lookWithin = 1500 * time.Millisecond
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

// look has the users of each cloud ask its services what checks want to see of them.
func (w *World) look() {
	w.freeze(true)
	w.looks = 0
	w.round++
	for _, m := range w.nodes {
		clear(m.seen)
		client := w.clientOf(m)
		if !m.up || m.paused || m.local != nil || client == nil {
			continue
		}
		for _, r := range w.cfg.Words.Remotes {
			if at, is := m.wanted[r.Service]; is && time.Since(at) < wantedFor {
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

// ask puts the question to a service, as a task of users.
func (m *machine) ask(client *local, r scenario.Remote) {
	w, round, p := m.w, m.w.round, m.proc
	w.looks++
	at := scenario.Seen{Node: m.name, Peer: m.identity.Peer(), Settings: m.configured(r.Service), Facts: w.heard[r.Service]}
	env := client.env
	env.Loop.Go("look", func(ctx context.Context) {
		ctx, cancel := clock.WithTimeout(ctx, env.Loop, lookWithin)
		defer cancel()
		s, err := r.Look(ctx, env, at)
		w.Between(func() {
			if round != w.round {
				return
			}
			w.looks--
			if err == nil && m.up && m.proc == p {
				m.seen[r.Service] = s
			}
		})
	})
}
