package substrate

import (
	"context"
	"maps"
	"slices"

	"github.com/taucloud/tau/clock"
)

const (
	// warmMax bounds the functions of a version that are made ready before anybody has asked for them.
	warmMax = 16
	// warmsMax bounds the versions that wait for that; of more, functions become ready when they are asked for.
	warmsMax = 64
	// warmFor bounds how long one function is waited for.
	warmFor = 2 * readyFor
)

// warms are the versions of which functions are made ready in the background, one function after another.
type warms struct {
	names   []string // of projects, in the order in which their versions came
	running bool
}

// warm makes functions of a project's version ready that nobody has asked for yet: of versions that are published while this substrate is here,
// since one that starts would compile all that there is.
func (s *Service) warm(name string) {
	w := &s.warms
	if s.guests == nil || !s.complete || len(w.names) >= warmsMax || slices.Contains(w.names, name) {
		return
	}
	w.names = append(w.names, name)
	if w.running {
		return
	}
	w.running = true
	s.env.Loop.Go("substrate warms", func(ctx context.Context) {
		defer func() { w.running = false }()
		for len(w.names) > 0 && ctx.Err() == nil {
			name := w.names[0]
			w.names = slices.Delete(w.names, 0, 1)
			s.warmOne(ctx, name)
		}
	})
}

func (s *Service) warmOne(ctx context.Context, name string) {
	r, count := s.projects[name], 0
	if r == nil {
		return
	}
	for _, path := range slices.Sorted(maps.Keys(r.targets)) {
		t := r.targets[path]
		if t.function == nil || t.asset == nil || t.asked {
			continue
		}
		if count++; count > warmMax || s.draining || s.projects[name] != r { // a newer version has come, and will be warmed itself
			return
		}
		ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, warmFor)
		err := s.prepare(ctx, t)
		cancel()
		if err != nil {
			s.env.Log.Debug("a function is not ready", "project", r.version.Project, "function", t.path, "err", err)
		}
	}
}
