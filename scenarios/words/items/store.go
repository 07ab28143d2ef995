// Package items are the words about hoarders: users store, read and let go of
// items, and hoarders keep as many copies as are wanted.
package items

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/users"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/ask"
)

// storeParams is what a store in a timeline may say.
type storeParams struct {
	Count   int    `yaml:"count" range:"1..1000" doc:"how many items, all at once"`
	Size    int64  `yaml:"size" range:"0..16MiB" doc:"of each"`
	SizeMax int64  `yaml:"size-max" range:"1..16MiB" doc:"sizes are drawn from size to this; default: all are size"`
	Target  int    `yaml:"target" range:"1..64" doc:"how many copies are wanted; default: as the hoarders are set"`
	Demand  int    `yaml:"demand" range:"1..1048576" doc:"the interest in them, which raises the number of copies; default: none"`
	Kind    string `yaml:"kind" values:"asset database" doc:"asset, or database: named after its place among the count, so that each occurrence stores a newer snapshot of each"`
	Name    string `yaml:"name" range:"1..200" doc:"of a database"`
	Owner   string `yaml:"owner" range:"1..200" doc:"who marks"`
	Owners  int    `yaml:"owners" range:"1..16" doc:"how many mark each; the others are called OWNER-2 and so on"`

	For      time.Duration `yaml:"for" range:"1ms..720h" doc:"when the marks end by themselves; default: never"`
	RetryFor time.Duration `yaml:"retry-for" range:"0s..24h" doc:"how long the client tries again"`
}

// storeSizeMax bounds an item of an action, as the range of its size does.
const storeSizeMax = 16 << 20

// Actions are what users do with items.
func Actions() []scenario.Action {
	return []scenario.Action{storeAction(), demandAction(), retrieveAction(), unmarkAction()}
}

func storeAction() scenario.Action {
	return scenario.Action{
		Name: "store", Service: hoarderapi.Service, Example: "store: {count: 3, size: 4KiB, size-max: 64KiB, target: 2}",
		Doc: "a client has content kept: it marks it with the hoarders and drops its own copy once they have acknowledged",
		Params: func() any {
			return &storeParams{Count: 1, Size: 16 << 10, Kind: string(hoarderapi.Asset), Name: "db", Owner: "client", Owners: 1, RetryFor: 2 * time.Minute}
		},
		Validate: func(params any) error { return params.(*storeParams).validate() },
		Run: func(ctx context.Context, client node.Env, params any, n int) error {
			p := *params.(*storeParams)
			scenario.Numbered(n, &p.Name, &p.Owner)
			return forEach(ctx, client, p.Count, func(ctx context.Context, i int) error { return p.one(ctx, client, n, i) })
		},
	}
}

func (p *storeParams) validate() error {
	switch {
	case p.SizeMax != 0 && p.SizeMax < p.Size:
		return &node.SettingError{Key: "size-max", What: "is less than size", Hint: "make it larger"}
	case p.Owners > 1 && p.Kind == string(hoarderapi.Database):
		return &node.SettingError{Key: "owners", What: "a database has one owner", Hint: "remove it"}
	}
	return nil
}

// forEach runs f for 0 to n-1 at once and waits for all, whatever fails; it
// returns the errors.
func forEach(ctx context.Context, client node.Env, n int, f func(ctx context.Context, i int) error) error {
	errs := make([]error, n)
	waiting := clock.First(ctx, client.Loop, n, n, func(ctx context.Context, i int) error {
		errs[i] = f(ctx, i)
		return nil
	})
	return errors.Join(append(errs, waiting)...)
}

// one stores one item. Where the content's own source of bytes is the client's
// Rand, all of it is drawn before anything waits.
func (p *storeParams) one(ctx context.Context, client node.Env, n, i int) error {
	size := p.Size
	if p.SizeMax > p.Size {
		size += client.Rand.Int64N(p.SizeMax - p.Size + 1)
	}
	content := randomBytes(client, size)
	root, err := client.Blocks.Add(ctx, content)
	if err != nil {
		return err
	}
	req := hoarderapi.PinRequest{
		Root: root.String(), Kind: hoarderapi.Kind(p.Kind), Target: p.Target, Demand: p.Demand,
		Size: size, Holders: []transport.Peer{client.Self}, For: p.For,
	}
	if req.Kind == hoarderapi.Database {
		req.Name, req.Version = fmt.Sprintf("%s-%d", p.Name, i), uint64(n)+1
	}
	it := storedItem{Name: req.Name, Digest: contentDigest(content)}
	for o := range p.Owners {
		req.Owner = p.ownerOf(o)
		if err := p.deliver(ctx, client, req, it.Digest); err != nil {
			return err
		}
		it.Owners = append(it.Owners, req.Owner)
	}
	if err := remember(client, req, it); err != nil {
		return err
	}
	return client.Blocks.Remove(root)
}

func (p *storeParams) ownerOf(i int) string {
	if i == 0 {
		return p.Owner
	}
	return fmt.Sprintf("%s-%d", p.Owner, i+1)
}

// contentDigest is what the content is compared by when it is read back.
func contentDigest(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }

// remember notes, on the client's disk, what it has stored: a database's newest
// snapshot only.
func remember(client node.Env, req hoarderapi.PinRequest, it storedItem) error {
	b := new(storage.Batch).Put(storedKey(req.Root), transport.Encode(it))
	if req.Kind == hoarderapi.Database {
		k := storage.K("snapshot", req.Owner, req.Name)
		before, err := client.Local.Get(k)
		if err == nil {
			b.Delete(storedKey(string(before)))
		} else if !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		b.Put(k, []byte(req.Root))
	}
	return client.Local.Apply(b)
}

// storedItem is what the client knows of what it has stored.
type storedItem struct {
	Owners []string // who have not withdrawn it
	Name   string
	Digest string
	Seq    uint64 // of their marks
}

func randomBytes(client node.Env, size int64) []byte {
	data := make([]byte, size+8)
	for i := int64(0); i < size; i += 8 {
		binary.LittleEndian.PutUint64(data[i:], client.Rand.Uint64())
	}
	return data[:size]
}

func storedKey(root string) storage.Key { return storage.K("stored", root) }

// deliver marks until it is acknowledged or the client gives up.
func (p *storeParams) deliver(ctx context.Context, client node.Env, req hoarderapi.PinRequest, digest string) error {
	hoarders := hoarderapi.NewClient(client.Wire)
	client.Observe("store-sent", append(markFields(req), node.F("digest", digest))...)
	gaveUp, err := users.Insist(ctx, client, p.RetryFor, []transport.Kind{transport.Invalid, transport.Conflict}, func(ctx context.Context) error {
		sent := client.Loop.Elapsed()
		resp, err := hoarders.Pin(ctx, req)
		if err == nil {
			client.Observe("store-acknowledged", append(markFields(req), node.F("took", client.Loop.Elapsed()-sent), node.F("holder", resp.Holder),
				node.F("bytes", resp.Bytes), node.F("copies", resp.Copies), node.F("records", resp.Records))...)
		}
		if transport.KindOf(err) == transport.Refused {
			client.Observe("store-refused", append(markFields(req), node.F("took", client.Loop.Elapsed()-sent))...)
		}
		return err
	})
	if gaveUp {
		client.Observe("store-given-up", append(markFields(req), node.F("error", err.Error()))...)
	}
	return err
}

func markFields(req hoarderapi.PinRequest) []node.Field {
	return []node.Field{
		node.F("root", req.Root), node.F("owner", req.Owner), node.F("name", req.Name), node.F("seq", req.Seq), node.F("kind", string(req.Kind)),
		node.F("target", req.Target), node.F("version", req.Version), node.F("for", req.For), node.F("size", req.Size),
	}
}

// itemsParams is what the actions on items that were stored may say.
type itemsParams struct {
	Count int `yaml:"count" range:"1..1000" doc:"how many of the items that the client has stored, by lot"`
}

// demandParams is what a demand may say.
type demandParams struct {
	itemsParams `yaml:",inline"`
	N           int `yaml:"n" range:"1..1048576" doc:"how many uses of each are reported"`
}

// unmarkParams is what an unmark may say.
type unmarkParams struct {
	itemsParams `yaml:",inline"`
	Owners      int    `yaml:"owners" range:"1..16" doc:"how many of an item's owners withdraw; default: all"`
	Then        string `yaml:"then" values:"late again" doc:"what they do after it: late (mark once more with the old number, as if a message had come late) or again (mark anew, as they want it again); default: nothing"`
}

func (p *itemsParams) chosen() int { return p.Count }

// onItems are parameters of an action on items that were stored.
type onItems interface{ chosen() int }

func itemsAction[P onItems](name, doc, example string, defaults func() P, each func(ctx context.Context, client node.Env, root string, p P) error) scenario.Action {
	return scenario.Action{
		Name: name, Doc: doc, Service: hoarderapi.Service, Example: example,
		Params: func() any { return defaults() },
		Run: func(ctx context.Context, client node.Env, params any, _ int) error {
			p := params.(P)
			roots, err := storedItems(client, p.chosen())
			if err != nil {
				return err
			}
			return forEach(ctx, client, len(roots), func(ctx context.Context, i int) error { return each(ctx, client, roots[i], p) })
		},
	}
}

// storedItems draws some of what the client has stored.
func storedItems(client node.Env, count int) ([]string, error) {
	entries, err := client.Local.List(storage.K("stored"))
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, transport.New(transport.NotFound, "stored", "nothing was stored yet")
	}
	client.Rand.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	var roots []string
	for _, e := range entries[:min(count, len(entries))] {
		roots = append(roots, e.Key.Parts()[1])
	}
	return roots, nil
}

func demandAction() scenario.Action {
	return itemsAction("demand", "a client reports that stored items are in demand", "demand: {count: 2, n: 10}",
		func() *demandParams { return &demandParams{itemsParams{1}, 1} },
		func(ctx context.Context, client node.Env, root string, p *demandParams) error {
			err := hoarderapi.NewClient(client.Wire).Demand(ctx, root, p.N)
			if err == nil {
				client.Observe("demand-acknowledged", node.F("root", root), node.F("n", p.N))
			}
			return err
		})
}

// retrieveAction reads stored content back from the hoarders: a failure counts
// in the figure actions.failed.
func retrieveAction() scenario.Action {
	return itemsAction("retrieve", "a client fetches stored items from the hoarders and drops them again", "retrieve: {count: 2}",
		func() *itemsParams { return &itemsParams{1} },
		func(ctx context.Context, client node.Env, root string, _ *itemsParams) error {
			return Retrieve(ctx, client, root, 30*time.Second)
		})
}

// Retrieve fetches an item from those that are said to hold it, reads it and
// drops it again. What it got is a fact, compared with what was stored.
func Retrieve(ctx context.Context, client node.Env, root string, limit time.Duration) error {
	c, err := cid.Decode(root)
	if err != nil {
		return err
	}
	began := client.Loop.Elapsed()
	ctx, cancel := clock.WithTimeout(ctx, client.Loop, limit)
	defer cancel()
	holders, err := hoarderapi.NewClient(client.Wire).Locate(ctx, root)
	if err == nil {
		err = client.Blocks.Fetch(ctx, c, ask.Among(ctx, holders), 2*storeSizeMax)
	}
	var content []byte
	if err == nil {
		content, err = client.Blocks.Read(ctx, c, 2*storeSizeMax)
		err = errors.Join(err, client.Blocks.Remove(c))
	}
	client.Observe("retrieved", node.F("root", root), node.F("whole", err == nil), node.F("digest", contentDigest(content)), node.F("took", client.Loop.Elapsed()-began))
	return err
}

func unmarkAction() scenario.Action {
	return itemsAction("unmark", "owners no longer want stored items kept", "unmark: {count: 1, owners: 1}",
		func() *unmarkParams { return &unmarkParams{itemsParams{1}, 0, ""} }, unmark)
}

// unmark withdraws for some of an item's owners, the last first.
func unmark(ctx context.Context, client node.Env, root string, p *unmarkParams) error {
	raw, err := client.Local.Get(storedKey(root))
	if err != nil {
		return err
	}
	var it storedItem
	if err := transport.Decode(raw, &it); err != nil {
		return err
	}
	n := len(it.Owners)
	if p.Owners > 0 {
		n = min(n, p.Owners)
	}
	hoarders := hoarderapi.NewClient(client.Wire)
	for range n {
		last := len(it.Owners) - 1
		req := hoarderapi.UnpinRequest{Root: root, Owner: it.Owners[last], Name: it.Name, Seq: it.Seq}
		fields := []node.Field{node.F("root", root), node.F("owner", req.Owner), node.F("name", req.Name), node.F("seq", req.Seq)}
		began := client.Loop.Elapsed()
		client.Observe("unmark-sent", fields...)
		if err := hoarders.Unpin(ctx, req); err != nil {
			return err
		}
		client.Observe("unmark-acknowledged", append(fields, node.F("took", client.Loop.Elapsed()-began))...)
		if err := afterUnmark(ctx, client, req, it, p.Then); err != nil {
			return err
		}
		it.Owners = it.Owners[:last]
		if err := rememberOwners(client, root, it); err != nil {
			return err
		}
	}
	return nil
}

// afterUnmark marks once more. Late: that nothing comes of it is what is to be
// seen, not an error.
func afterUnmark(ctx context.Context, client node.Env, req hoarderapi.UnpinRequest, it storedItem, then string) error {
	if then == "" || it.Name != "" {
		return nil
	}
	again := hoarderapi.PinRequest{Root: req.Root, Kind: hoarderapi.Asset, Owner: req.Owner, Seq: req.Seq}
	if then == "again" {
		again.Seq++
	}
	p := storeParams{RetryFor: 10 * time.Second}
	err := p.deliver(ctx, client, again, it.Digest)
	if then == "late" {
		client.Observe("late-mark", node.F("root", req.Root), node.F("owner", req.Owner), node.F("error", transport.KindOf(err).String()))
		return nil
	}
	return err
}

func rememberOwners(client node.Env, root string, it storedItem) error {
	if len(it.Owners) == 0 {
		return storage.Delete(client.Local, storedKey(root))
	}
	return storage.Put(client.Local, storedKey(root), transport.Encode(it))
}
