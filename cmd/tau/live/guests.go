package live

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/substrate"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/wasm/engine"
	"github.com/taucloud/tau/wasm/outbound"
	"github.com/taucloud/tau/wasm/web"
)

// guests runs functions in an engine of the node's own.
type guests struct {
	runner  *web.Runner
	outside outbound.Net
	// putSecret is the command that stores a secret of a project's functions: its arguments are the project and the name.
	putSecret string
}

// newGuests makes what runs the functions of a node. What was compiled stays on its disk.
func newGuests(cfg Config) func(node.Env) substrate.Guests {
	return func(env node.Env) substrate.Guests {
		began := time.Now()
		runner, err := web.New(web.Options{Coroutines: 64, Engine: engine.Options{
			Now: time.Now, Elapsed: func() time.Duration { return time.Since(began) }, Rand: rand.Reader, Sleep: sleep,
			CacheDir: filepath.Join(cfg.Paths.Builds, "compiled"),
		}})
		if err != nil {
			env.Log.Warn("this node runs no functions: its engine cannot start", slog.String("error", err.Error()))
			return nil
		}
		put := "tau auth secret put function"
		if cfg.Universe != "" {
			put = "dreamland secret put"
		}
		return &guests{runner: runner, putSecret: put}
	}
}

// sleep is a guest's.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// lacking are the secrets that a function names and has not.
func lacking(g substrate.Guest) (names []string) {
	for _, name := range g.Function.Secrets {
		if _, has := g.Secrets[name]; !has {
			names = append(names, name)
		}
	}
	return names
}

// SharedByLoops implements clock.Shared.
func (*guests) SharedByLoops() {}

// Close implements substrate.Guests.
func (g *guests) Close() { _ = g.runner.Close() }

// offTurn carries out what takes processor time.
func offTurn(here clock.Loop) func(context.Context, func()) error {
	return func(ctx context.Context, f func()) error { return clock.Offload(ctx, here, f) }
}

// Load implements substrate.Guests.
func (g *guests) Load(ctx context.Context, here clock.Loop, guest substrate.Guest) error {
	return g.runner.Prepare(ctx, guest.Program(), guest.Module, offTurn(here))
}

// Serve implements substrate.Guests.
func (g *guests) Serve(here clock.Loop, w http.ResponseWriter, r *http.Request, guest substrate.Guest) (ran substrate.Ran) {
	defer func() { ran.Cut = substrate.IsCut(recover()) }()
	g.runner.Serve(w, r, guest.Program(), web.Exchange{
		Parameters: guest.Parameters, ID: r.Header.Get(gatewayapi.HeaderRequestID), Module: guest.Module,
		SDK:  guest.SDK(&g.outside),
		Off:  offTurn(here),
		Wait: func(ctx context.Context, d time.Duration) error { return clock.Sleep(ctx, here, d) }, Clock: here,
		Head: func(cold bool) {
			if cold {
				w.Header().Set(substrateapi.HeaderCold, "1")
			}
		},
		Ran: func(o web.Outcome) {
			ran = substrate.RanAs(o)
			guest.Ended()
			if missing := lacking(guest); o.Cold && len(missing) > 0 {
				ran.Log = fmt.Sprintf("[tau] it runs without secrets that nobody has put (%s %s NAME): %s\n", g.putSecret, guest.Project, strings.Join(missing, ", ")) + ran.Log
			}
		},
	})
	return ran
}
