package ports

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/substrate"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/wasm/engine"
	"github.com/taucloud/tau/wasm/web"
)

// Guests runs functions in the simulated world: the same engine, with a clock that stands during a call and random numbers that follow
// from the request. What a call takes is counted in fuel, and passes afterwards in simulated time.
type Guests struct {
	env    node.Env
	runner *web.Runner
}

const (
	// fuelPerSecond is how fast simulated processors are: slow ones, so that a function that never ends costs a real one some 10 ms.
	fuelPerSecond = 5_000_000
	// loadTime is how long it takes to compile a module and to start it.
	loadTime = 150 * time.Millisecond
)

// compiled is the code of all engines of the process: it is the same everywhere.
var compiled = wazero.NewCompilationCache()

// NewGuests is what runs the functions of a simulated substrate.
func NewGuests(env node.Env) substrate.Guests {
	runner, err := web.New(web.Options{
		Engine: engine.Options{Compiled: compiled, IdleBytesMax: 8 << 20}, FuelPerSecond: fuelPerSecond, Fuelled: true, LoadedBytesMax: 64 << 20,
		BodyMax: 4 << 20, AnswerMax: 1 << 20, // so that what has no end costs little
	})
	if err != nil {
		panic(err) // nothing of it depends on the world
	}
	return &Guests{env, runner}
}

// SharedByLoops implements clock.Shared.
func (*Guests) SharedByLoops() {}

// Close implements substrate.Guests.
func (g *Guests) Close() { _ = g.runner.Close() }

// offTurn carries out what takes processor time.
func offTurn(here clock.Loop) func(context.Context, func()) error {
	return func(ctx context.Context, f func()) error { return clock.Offload(ctx, here, f) }
}

// slowly has a module take its time to be compiled.
func slowly(here clock.Loop, module func(context.Context) ([]byte, error)) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		code, err := module(ctx)
		if err == nil {
			err = clock.Sleep(ctx, here, loadTime)
		}
		return code, err
	}
}

// Load implements substrate.Guests.
func (g *Guests) Load(ctx context.Context, here clock.Loop, guest substrate.Guest) error {
	return g.runner.Prepare(ctx, guest.Program(), slowly(here, guest.Module), offTurn(here))
}

// Serve implements substrate.Guests.
func (g *Guests) Serve(here clock.Loop, w http.ResponseWriter, r *http.Request, guest substrate.Guest) (ran substrate.Ran) {
	defer func() { ran.Cut = substrate.IsCut(recover()) }()
	id, now, elapsed := r.Header.Get(gatewayapi.HeaderRequestID), here.Now(), here.Elapsed()
	seed := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", g.env.Self, id, elapsed))
	waited := func(err error) error { // as the guest sees time next
		now, elapsed = here.Now(), here.Elapsed()
		return err
	}
	out := &outside{}
	g.runner.Serve(w, r, guest.Program(), web.Exchange{
		SDK:        guest.SDK(out),
		Parameters: guest.Parameters, ID: id,
		Module: slowly(here, guest.Module),
		Off:    offTurn(here),
		Now:    func() time.Time { return now }, Elapsed: func() time.Duration { return elapsed }, Rand: rand.NewChaCha8(seed),
		Wait: func(ctx context.Context, d time.Duration) error { return waited(clock.Sleep(ctx, here, d)) }, Clock: here,
		Spent: func(ctx context.Context, fuel uint64) error {
			return waited(clock.Sleep(ctx, here, time.Duration(float64(fuel)/fuelPerSecond*float64(time.Second))))
		},
		Head: func(cold bool) {
			if cold {
				w.Header().Set(substrateapi.HeaderCold, "1")
			}
		},
		Ran: func(o web.Outcome) {
			ran = substrate.RanAs(o)
			guest.Ended()
			for _, a := range out.asked {
				g.env.Observe("outside-asked", node.F("project", guest.Project), node.F("host", a.host), node.F("address", a.address))
			}
		},
	})
	return ran
}
