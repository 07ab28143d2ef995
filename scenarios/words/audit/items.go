package audit

import (
	"context"
	"strings"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/scenarios/words/items"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
)

// itemLooks are what can be asked of hoarders about what users have stored.
func (a *auditor) itemLooks() (list []lookFunc) {
	if len(a.items.list) > 0 {
		list = append(list, a.lookAtHolders, a.lookAtHolders, a.lookAtCopy, a.lookAtOwners, a.lookAtOwned, a.lookAtHoarder, a.readItem)
	}
	if len(a.databases.list) > 0 {
		list = append(list, a.lookAtDatabase, a.lookAtDatabase)
	}
	return list
}

// databaseName is a database of an owner.
type databaseName struct{ owner, name string }

// lookAtHolders asks one hoarder who holds an item.
func (a *auditor) lookAtHolders(ctx context.Context, env node.Env) {
	a.askHolders(ctx, env, a.someone(env, hoarderapi.Service), pick(a, a.items.list))
}

func (a *auditor) askHolders(ctx context.Context, env node.Env, by transport.Peer, root string) {
	began := env.Loop.Elapsed()
	resp, err := hoarderapi.Locate.Call(ctx, env.Wire, by, hoarderapi.RootRequest{Root: root})
	itemAnswered(env, "holders-told", by, root, began, err, node.F("holders", joinPeers(resp.Holders)))
}

// itemAnswered reports an answer about an item, also one that is an error.
func itemAnswered(env node.Env, fact string, by transport.Peer, root string, began time.Duration, err error, fields ...node.Field) {
	kind := ""
	if err != nil {
		kind, fields = transport.KindOf(err).String(), nil
	}
	env.Observe(fact, append([]node.Field{
		node.F("by", by), node.F("root", root), node.F("took", env.Loop.Elapsed()-began), node.F("error", kind),
	}, fields...)...)
}

func joinPeers(peers []transport.Peer) string {
	names := make([]string, len(peers))
	for i, p := range peers {
		names[i] = p.String()
	}
	return strings.Join(names, " ")
}

// lookAtCopy asks one hoarder whether it really holds an item.
func (a *auditor) lookAtCopy(ctx context.Context, env node.Env) {
	by, root := a.someone(env, hoarderapi.Service), pick(a, a.items.list)
	began := env.Loop.Elapsed()
	resp, err := hoarderapi.Have.Call(ctx, env.Wire, by, hoarderapi.HaveRequest{Root: root, Promise: true})
	itemAnswered(env, "copy-told", by, root, began, err, node.F("has", resp.Has), node.F("promise", resp.Promise))
}

// lookAtOwners asks one hoarder who wants an item.
func (a *auditor) lookAtOwners(ctx context.Context, env node.Env) {
	a.askOwners(ctx, env, a.someone(env, hoarderapi.Service), pick(a, a.items.list))
}

func (a *auditor) askOwners(ctx context.Context, env node.Env, by transport.Peer, root string) {
	began := env.Loop.Elapsed()
	resp, err := hoarderapi.Owners.Call(ctx, env.Wire, by, hoarderapi.OwnersRequest{Root: root})
	itemAnswered(env, "owners-told", by, root, began, err, node.F("owners", joinOwned(resp.Owners)), node.F("more", resp.More))
}

// joinOwned makes a text of marks; no root, owner or name of a scenario has a
// space in it.
func joinOwned(list []hoarderapi.Owned) string {
	names := make([]string, len(list))
	for i, o := range list {
		names[i] = o.Root + "/" + o.Owner + "/" + o.Name
	}
	return strings.Join(names, " ")
}

// lookAtOwned asks one hoarder for a page of what users have marked.
func (a *auditor) lookAtOwned(ctx context.Context, env node.Env) {
	by, after := a.someone(env, hoarderapi.Service), pick(a, a.items.list)
	if a.IntN(2) == 0 {
		after = ""
	}
	began := env.Loop.Elapsed()
	resp, err := hoarderapi.ListOwned.Call(ctx, env.Wire, by, hoarderapi.OwnedRequest{Prefix: "client", After: after})
	itemAnswered(env, "owned-told", by, after, began, err, node.F("owned", joinOwned(resp.Pins)), node.F("next", resp.Next))
}

// lookAtHoarder asks one hoarder about itself.
func (a *auditor) lookAtHoarder(ctx context.Context, env node.Env) {
	by := a.someone(env, hoarderapi.Service)
	began := env.Loop.Elapsed()
	s, err := hoarderapi.Status.Call(ctx, env.Wire, by, hoarderapi.Done{})
	itemAnswered(env, "hoarder-told", by, "", began, err, node.F("items", s.Items), node.F("held", s.Held), node.F("used", s.BytesUsed),
		node.F("max", s.BytesMax), node.F("others", s.LiveOthers), node.F("corrupted", s.Corrupted))
}

// readItem fetches an item from whoever is said to hold it, and reads it.
func (a *auditor) readItem(_ context.Context, env node.Env) {
	a.fetch(env, func(ctx context.Context) { a.read(ctx, env) })
}

// fetch reads content in a task of its own: it may take longer than other looks. Two
// would take their links from each other.
func (a *auditor) fetch(env node.Env, read func(ctx context.Context)) {
	if a.reading {
		return
	}
	a.reading = true
	a.flying++
	env.Loop.Go("audit-read", func(ctx context.Context) {
		defer func() { a.flying--; a.reading = false }()
		read(ctx)
	})
}

// read allows for what the item takes over the slowest link.
func (a *auditor) read(ctx context.Context, env node.Env) {
	root := pick(a, a.items.list)
	_ = items.Retrieve(ctx, env, root, evidence.LookTimeout+transport.TransferTime(a.sizes[root])) // what came of it is a fact
}

// lookAtDatabase asks one hoarder for the newest snapshot of a database.
func (a *auditor) lookAtDatabase(ctx context.Context, env node.Env) {
	a.askDatabase(ctx, env, a.someone(env, hoarderapi.Service), pick(a, a.databases.list))
}

func (a *auditor) askDatabase(ctx context.Context, env node.Env, by transport.Peer, d databaseName) {
	began := env.Loop.Elapsed()
	resp, err := hoarderapi.NewestSnapshot.Call(ctx, env.Wire, by, hoarderapi.DatabaseRequest{Owner: d.owner, Name: d.name})
	itemAnswered(env, "database-told", by, resp.Root, began, err, node.F("owner", d.owner), node.F("name", d.name), node.F("version", resp.Version),
		node.F("holders", joinPeers(resp.Holders)))
	if err != nil {
		env.Observe("database-missing", node.F("by", by), node.F("owner", d.owner), node.F("name", d.name), node.F("error", transport.KindOf(err).String()),
			node.F("took", env.Loop.Elapsed()-began))
	}
}

// sweepItems asks one hoarder about what users have stored, some of it if it is
// much, and reads some.
func (a *auditor) sweepItems(ctx context.Context, env node.Env, n int) {
	if !a.serves(env, hoarderapi.Service) {
		return
	}
	peers, _ := env.Wire.Directory().Lookup(hoarderapi.Service)
	by := peers[n%len(peers)]
	ask := func(f func(ctx context.Context)) {
		_ = bounded(ctx, env, func(ctx context.Context) error { f(ctx); return nil })
	}
	for range min(sampleMax, len(a.items.list)) {
		root := pick(a, a.items.list)
		ask(func(ctx context.Context) { a.askHolders(ctx, env, by, root) })
		ask(func(ctx context.Context) { a.askOwners(ctx, env, by, root) })
		a.read(ctx, env)
	}
	for range min(sampleMax, len(a.databases.list)) {
		ask(func(ctx context.Context) { a.askDatabase(ctx, env, by, pick(a, a.databases.list)) })
	}
	if len(a.items.list) > 0 {
		ask(func(ctx context.Context) { a.lookAtOwned(ctx, env) })
		ask(func(ctx context.Context) { a.lookAtHoarder(ctx, env) })
	}
}
