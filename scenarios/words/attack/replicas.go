package attack

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/storage/replicated"
	"github.com/taucloud/tau/transport"
)

const (
	// joinFor bounds an attack on a replicated store, joinPoll how soon it notices that it is a replica.
	joinFor  = 20 * time.Second
	joinPoll = 100 * time.Millisecond
)

// deleteAll becomes a replica of each store that is not the attacker's to write to, and deletes
// what is in it. What may not be read is written to all the same: a job, a version, a pin.
func deleteAll(_ context.Context, a *one) error {
	for _, service := range []string{patrickapi.Service, tnsapi.Service, hoarderapi.Service} {
		if a.Pretends(service) || a.On != "" && a.On != service {
			continue
		}
		a.apart(func(ctx context.Context) {
			ctx, cancel := clock.WithTimeout(ctx, a.env().Loop, joinFor)
			defer cancel()
			a.deleteFrom(ctx, service)
		})
	}
	return nil
}

func (a *one) deleteFrom(ctx context.Context, service string) {
	env := a.env()
	store := a.replica(ctx, service, func(ctx context.Context) (storage.Replicated, error) {
		return replicated.Open(ctx, replicated.Config{
			Loop: env.Loop, Endpoint: env.Wire, Disk: memdisk.New(), Rand: rand.New(rand.NewPCG(env.Rand.Uint64(), env.Rand.Uint64())), Service: service, Namespace: "main",
		})
	})
	if store == nil {
		return
	}
	for ctx.Err() == nil {
		var b storage.Batch
		for _, part := range []string{"jobs", "past", "versions", "entries", "fences", "pins", "claims", "withdrawn"} {
			for _, e := range store.Entries(storage.K(part)) {
				b.Delete(e.Key)
			}
		}
		b.Put(storage.K("jobs", a.ghost(a.n).ID, "cancel", "000", "bad"), transport.Encode(struct{ Cause, Reason string }{"bad", "bad"}))
		if store.Apply(&b) != nil || clock.Sleep(ctx, env.Loop, time.Second) != nil {
			return
		}
	}
}

// replica is the attacker's own of a service's store, nil if ctx ends before it is one. A node opens it once in a life,
// so attacks that overlap have it in common, and it stays.
func (a *one) replica(ctx context.Context, service string, open func(ctx context.Context) (storage.Replicated, error)) storage.Replicated {
	name := "the replica of " + service
	if a.once(name) {
		a.apart(func(ctx context.Context) {
			if store, err := open(ctx); err == nil {
				a.Memory[name] = store
			}
		})
	}
	for {
		if store, is := a.Memory[name].(storage.Replicated); is {
			return store
		}
		if clock.Sleep(ctx, a.env().Loop, joinPoll) != nil {
			return nil
		}
	}
}

// claimFor is how long false claims are kept up.
const claimFor = time.Minute

// claimCopies joins the store of hoarders, as the attacker may, claims each item that is pinned and
// says yes to whoever asks, with a proof that is made up.
func claimCopies(ctx context.Context, a *one) error {
	if !a.Pretends(hoarderapi.Service) {
		return nil
	}
	env := a.Env(hoarderapi.Service)
	if a.once("serves hoarder") {
		hoarderapi.Have.Serve(env.Wire, func(context.Context, transport.Peer, hoarderapi.HaveRequest) (hoarderapi.HaveResponse, error) {
			return hoarderapi.HaveResponse{Has: true, Promise: time.Hour, Proof: madeUp(env)}, nil
		})
		transport.Method[hoarderapi.PinRequest, hoarderapi.PinResponse]{Name: "hoarder/pin-copy", Rule: hoarderapi.Have.Rule}.Serve(env.Wire,
			func(_ context.Context, _ transport.Peer, req hoarderapi.PinRequest) (hoarderapi.PinResponse, error) {
				return hoarderapi.PinResponse{Holder: env.Self, Bytes: req.Size, Copies: 1, Records: 1, Proof: madeUp(env)}, nil
			})
	}
	store := a.replica(ctx, hoarderapi.Service, func(ctx context.Context) (storage.Replicated, error) {
		return env.OpenReplicated(ctx, "main", storage.DefaultHistory())
	})
	if store == nil {
		return nil
	}
	for until := env.Loop.Elapsed() + claimFor; env.Loop.Elapsed() < until; {
		if err := store.Apply(falseClaims(store, env.Self)); err != nil {
			return err
		}
		if err := clock.Sleep(ctx, env.Loop, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// madeUp is a proof of what the attacker has not.
func madeUp(env node.Env) (proof []byte) {
	for range 4 {
		proof = binary.BigEndian.AppendUint64(proof, env.Rand.Uint64())
	}
	return proof
}

// falseClaims claims all items that are not claimed yet.
func falseClaims(store storage.Replicated, self transport.Peer) *storage.Batch {
	b := new(storage.Batch)
	var roots []string
	for _, e := range store.Entries(storage.K("pins")) {
		if parts := e.Key.Parts(); len(parts) > 1 && !slices.Contains(roots, parts[1]) {
			roots = append(roots, parts[1])
		}
	}
	for _, root := range roots {
		key := storage.K("claims", root, self.String())
		if _, err := store.Get(key); err != nil {
			b.Put(key, transport.Encode(struct{ Bytes int64 }{1}))
		}
	}
	return b
}
