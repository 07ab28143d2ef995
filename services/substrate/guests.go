package substrate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/wasm/outbound"
	"github.com/taucloud/tau/wasm/sdk"
	"github.com/taucloud/tau/wasm/web"
)

// Guests runs functions. It is used by tasks of many loops at once.
type Guests interface {
	clock.Shared
	// Serve answers a request with a function. It is called by a task of here, at which it may park, and returns
	// what became of it when the response is whole, or was given up (Cut).
	Serve(here clock.Loop, w http.ResponseWriter, r *http.Request, g Guest) Ran
	// Load makes a function ready before it is asked. It is called by a task of here, at which it may park.
	Load(ctx context.Context, here clock.Loop, g Guest) error
	// Close ends it. It lets go of what calls that have not ended still need when they have.
	Close()
}

// Guest is a function that a request is for.
type Guest struct {
	Project, Branch, Commit string
	// Target is the path of its entry; Function is what that says.
	Target   string
	Function project.Function
	// Secrets are those that the function names, by name: variables of its environment, which are in no log and on no disk.
	Secrets map[string]string
	// Parameters are those of the path that was matched.
	Parameters map[string]string
	// Ended is called when the function has ended, before the rest of its answer is sent: then somebody else has its place. Who reads slowly does not hold it.
	Ended func()
	// Hash names the module; Module reads it, whole and verified. It may park.
	Hash   string
	Module func(ctx context.Context) ([]byte, error)
}

// Program is the function as engines know it.
func (g Guest) Program() web.Function {
	f := web.Function{Module: g.Hash, Call: g.Function.Call, Timeout: time.Duration(g.Function.Timeout), MemoryMax: int64(g.Function.Memory)}
	for _, name := range slices.Sorted(maps.Keys(g.Function.Environment)) {
		f.Env = append(f.Env, name+"="+g.Function.Environment[name])
	}
	for _, name := range slices.Sorted(maps.Keys(g.Secrets)) {
		f.Env = append(f.Env, name+"="+g.Secrets[name])
	}
	return f
}

// SDK is what the function is told of itself, and where to it may send requests: to the hosts in its configuration, by way of an outside, nil if
// there is none.
func (g Guest) SDK(outside outbound.Outside) sdk.Config {
	c := sdk.Config{Self: sdk.Self{Project: g.Project, Branch: g.Branch, Commit: g.Commit, Function: cmp.Or(g.Function.ID, g.Function.Name)}, Outside: outside}
	if path, is := strings.CutPrefix(g.Target, "applications/"); is {
		c.Self.Application, _, _ = strings.Cut(path, "/")
	}
	if list, err := outbound.Parse(g.Function.Outbound); err == nil { // it was checked when it was compiled; what is not understood allows nothing
		c.Allow = list
	}
	return c
}

// RanAs is an outcome as a substrate wants it.
func RanAs(o web.Outcome) Ran {
	return Ran{Status: o.Status, Ended: o.Ended, Fuel: o.Usage.Fuel, Memory: o.Usage.MemoryPeak, Log: o.Log, Cold: o.Cold}
}

// Ran is how a function has answered a request.
type Ran struct {
	Status int
	// Ended says how: "answered", or why it was stopped.
	Ended string
	// Fuel is what it has cost, in units of the engine; Memory what it had at most, in bytes.
	Fuel, Memory uint64
	// Log is what it has said, and why it was stopped, for whoever has written it: never for clients.
	Log string
	// Cold: it had to be made ready first.
	Cold bool
	// Cut: its answer is not whole, and the connection breaks.
	Cut bool
}

// IsCut reports whether what was recovered gives a response up. Any other panic goes on.
func IsCut(recovered any) bool {
	if recovered != nil && recovered != http.ErrAbortHandler {
		panic(recovered)
	}
	return recovered != nil
}

// function finds what runs a function, and a place for the request, for which it may wait.
func (s *Service) function(ctx context.Context, a *answer, t *target, parameters map[string]string) {
	a.version = t.release.version.Commit
	switch {
	case s.guests == nil:
		a.status, a.says = http.StatusNotImplemented, "functions are not served: this substrate has no engine that runs them"
		return
	case t.asset == nil:
		a.status, a.says = http.StatusNotFound, "nothing was built of this function: its folder is not in the commit"
		return
	}
	t.asked = true
	secrets, err := s.secretsOf(ctx, t)
	if err != nil {
		s.env.Log.Debug("the secrets of a function cannot be had", "project", t.release.version.Project, "function", t.path, "err", err)
		a.refused = substrateapi.Starting
		return
	}
	if a.place = s.places.enter(t.name(), s.concurrency(t), s.settings.FunctionQueue); a.place == nil {
		s.usages.refused(t.name(), t)
		a.refused = substrateapi.Busy
		return
	}
	if err := s.await(ctx, a.place); err != nil {
		s.places.leave(a.place)
		s.usages.refused(t.name(), t)
		a.place, a.refused = nil, substrateapi.Busy
		return
	}
	a.guests, a.guest, a.target = s.guests, t.guest(parameters, secrets), t
}

// concurrency is how many requests of a function are run at once here.
func (s *Service) concurrency(t *target) int {
	if n := t.function.Concurrency; n > 0 {
		return n
	}
	return s.settings.FunctionConcurrency
}

// await waits until a place is free.
func (s *Service) await(ctx context.Context, p *place) error {
	if p.granted {
		return nil
	}
	ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, s.settings.FunctionWait)
	defer cancel()
	for !p.granted {
		if err := s.env.Loop.Park(ctx, func(wake func()) { p.wake = wake }); err != nil && !p.granted {
			return err
		}
	}
	return nil
}

// name is what a function is known by, whichever version it is of.
func (t *target) name() string {
	return t.release.version.Project + "\x00" + t.release.version.Branch + "\x00" + t.path
}

func (t *target) guest(parameters, secrets map[string]string) Guest {
	return Guest{Project: t.release.version.Project, Branch: t.release.version.Branch, Commit: t.release.version.Commit, Target: t.path, Function: *t.function, Secrets: secrets, Parameters: parameters, Hash: t.asset.Hash}
}

// reading is a module that is being read, for all who wait for it.
type reading struct {
	gate
	module []byte
	err    error
}

// module is the module of a function. However many ask for it at once, it is read once.
func (s *Service) module(ctx context.Context, t *target) ([]byte, error) {
	r := t.reading
	if r == nil {
		r = &reading{}
		t.reading = r
		s.env.Loop.Go("substrate module", func(ctx context.Context) {
			r.module, r.err = s.readModule(ctx, t)
			t.reading = nil
			r.opens()
		})
	}
	if err := r.wait(ctx, s.env.Loop); err != nil {
		return nil, err
	}
	return r.module, r.err
}

func (s *Service) readModule(ctx context.Context, t *target) (module []byte, err error) {
	if err := s.load(ctx, t.release); err != nil {
		return nil, err
	}
	content, err := s.open(t.release.bundle)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	if t.asset.Size > build.ModuleLenMax {
		return nil, fmt.Errorf("the module has %d bytes", t.asset.Size)
	}
	left := clock.Offload(ctx, s.env.Loop, func() {
		module = make([]byte, t.asset.Size)
		if _, err = io.ReadFull(&section{from: content, base: t.asset.Offset, size: t.asset.Size}, module); err != nil {
			return
		}
		if sum := sha256.Sum256(module); hex.EncodeToString(sum[:]) != t.asset.Hash {
			err = fmt.Errorf("the bundle has something else in its place")
		}
	})
	if left != nil {
		return nil, left
	}
	return module, err
}

// readyFor is how long a new version waits at most until functions of it are ready, which otherwise become so when they are asked for.
const readyFor = 20 * time.Second

// ready makes the functions of a release ready that the old one was asked for, one after another, so that nobody waits for that. It waits for readyFor at
// most. What cannot be run keeps no version from being served: requests are told.
func (s *Service) ready(ctx context.Context, old, r *release) error {
	if s.guests == nil || old == nil {
		return nil
	}
	var all []*target
	for _, path := range slices.Sorted(maps.Keys(r.targets)) {
		t, before := r.targets[path], old.targets[path]
		if t.function != nil && t.asset != nil && before != nil && before.asked {
			t.asked = true
			all = append(all, t)
		}
	}
	if len(all) == 0 {
		return nil
	}
	var done gate
	s.env.Loop.Go("substrate ready", func(ctx context.Context) {
		for _, t := range all {
			if err := s.prepare(ctx, t); err != nil {
				s.env.Log.Debug("a function is not ready", "project", r.version.Project, "function", t.path, "err", err)
			}
		}
		done.opens()
	})
	waits, cancel := clock.WithTimeout(ctx, s.env.Loop, readyFor)
	defer cancel()
	_ = done.wait(waits, s.env.Loop)
	return ctx.Err()
}

// prepare makes a function ready.
func (s *Service) prepare(ctx context.Context, t *target) error {
	secrets, err := s.secretsOf(ctx, t)
	if err != nil {
		return err
	}
	g := t.guest(nil, secrets)
	g.Module = func(ctx context.Context) ([]byte, error) { return s.module(ctx, t) }
	return s.guests.Load(ctx, s.env.Loop, g)
}

// tellAfter is after how long a gateway is told that a function is at work on its request, which it does not give to another one from then on.
const tellAfter = 100 * time.Millisecond

// run answers a request with a function, at a loop of its own.
func (h handler) run(here clock.Loop, w http.ResponseWriter, r *http.Request, a *answer) {
	g, t := a.guest, a.target
	g.Module = func(ctx context.Context) (module []byte, err error) {
		left := h.service.Do(ctx, here, func(ctx context.Context, s **Service) { module, err = (*s).module(ctx, t) })
		if left != nil {
			return nil, left
		}
		return module, err
	}
	began, id, atOnce := here.Elapsed(), idOf(r), 0
	g.Ended = func() {
		_ = h.service.With(context.WithoutCancel(r.Context()), here, func(s **Service) {
			if place := a.place; place != nil {
				atOnce, a.place = (*s).places.of(t.name()), nil
				(*s).places.leave(place)
			}
		})
	}
	tells := here.AfterFunc(tellAfter, func() {
		here.Go("substrate tells", func(context.Context) { w.WriteHeader(http.StatusProcessing) }) // nothing, where the answer has begun
	})
	defer tells.Stop()
	ran := a.guests.Serve(here, w, r, g)
	g.Ended() // if it has not said so
	took := here.Elapsed() - began
	_ = h.service.With(context.WithoutCancel(r.Context()), here, func(s **Service) { (*s).ran(t, ran, took, id, atOnce) })
	if ran.Cut {
		panic(http.ErrAbortHandler)
	}
}

// idOf is the request's name, which its gateway has given.
func idOf(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	return id[:min(len(id), 64)]
}

// ran notes what became of a request.
func (s *Service) ran(t *target, ran Ran, took time.Duration, id string, atOnce int) {
	v := t.release.version
	s.journal.add(t.name(), s.masked(v.Project, ran.Log), substrateapi.LogLine{At: s.env.Loop.Now().UnixNano(), Request: id, Commit: v.Commit})
	s.usages.add(t.name(), t, ran, took, s.env.Loop.Now().UnixNano())
	s.env.Observe("function-ran", node.F("project", v.Project), node.F("function", t.path), node.F("commit", v.Commit), node.F("id", id), node.F("status", ran.Status),
		node.F("ended", ran.Ended), node.F("fuel", ran.Fuel), node.F("memory", ran.Memory), node.F("cold", ran.Cold), node.F("took", took), node.F("at-once", atOnce))
}
