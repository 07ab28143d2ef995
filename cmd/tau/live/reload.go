package live

import (
	"context"
	"log/slog"
	"strings"

	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/transport"
)

// reloads reads the configuration again whenever somebody asks for it, until stop is called.
func (r *running) reloads() (stop func()) {
	ended, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-ended:
				return
			case <-r.cfg.Reload:
				r.reload()
			}
		}
	}()
	return func() { close(ended); <-stopped }
}

// reload takes over what can change while the node runs - log-level and disk-reserve -, and names what takes a start.
// A file that is wrong changes nothing.
func (r *running) reload() {
	if r.cfg.Reloading != nil {
		r.cfg.Reloading()
		defer r.cfg.Reloaded()
	}
	fresh, err := shape.Load(r.cfg.Paths.Config)
	if err != nil {
		r.cfg.Log.Error("the configuration was not read again: it is wrong, and nothing was changed", slog.String("error", err.Error()))
		return
	}
	reserve, err := shape.ParseSize(fresh.DiskReserve)
	if err != nil {
		return // Load has checked it
	}
	r.cfg.Log.SetLevel(fresh.Level())
	r.mu.Lock()
	disk := r.disk
	r.mu.Unlock()
	if disk != nil {
		disk.SetReserve(reserve)
	}
	r.cfg.Log.Info("the configuration was read again", slog.String("log-level", fresh.LogLevel), slog.String("disk-reserve", fresh.DiskReserve))
	if others := shape.Differ(r.cfg.Shape, fresh); len(others) > 0 {
		r.cfg.Log.Warn("part of the configuration takes a start of the node to count", slog.String("keys", strings.Join(others, ", ")))
	}
}

// LevelRequest sets the level from which on lines are logged, until the next start or SIGHUP.
type LevelRequest struct {
	Level string `json:"level"`
}

func (r *running) setLevel(_ context.Context, req LevelRequest) (nothing, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(req.Level)); err != nil {
		return nothing{}, transport.New(transport.Invalid, "log-level", "expected debug, info, warn or error")
	}
	r.cfg.Log.SetLevel(level)
	return nothing{}, nil
}
