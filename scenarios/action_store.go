package scenarios

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// storeParams is what a store in a timeline may say.
type storeParams struct {
	// Count is how many items are stored, all at once.
	Count int `yaml:"count" range:"1..1000"`
	// Size and SizeMax bound their sizes, in bytes; SizeMax 0 means all are Size.
	Size    int64 `yaml:"size" range:"0..16MiB"`
	SizeMax int64 `yaml:"size-max" range:"0..16MiB"`
	// Target is the number of copies wanted, Demand the interest in them.
	Target int `yaml:"target" range:"0..64"`
	Demand int `yaml:"demand" range:"0..1048576"`
	// Kind is asset or database. A database is named after its place among the
	// Count, so each occurrence of the entry stores a newer version of each.
	Kind string `yaml:"kind"`
	Name string `yaml:"name" range:"1..200"`
	// Owner is who marks.
	Owner string `yaml:"owner" range:"1..256"`
	// RetryFor is how long the client goes on trying.
	RetryFor time.Duration `yaml:"retry-for" range:"0s..24h"`
}

const (
	// storeSizeMax bounds an item of an action, as the range of its size does.
	storeSizeMax = 16 << 20
	// storeRetryWait is the pause between two tries of an action.
	storeRetryWait = time.Second
)

func storeAction() scenario.Action {
	return scenario.Action{
		Name: "store",
		Doc:  "a client has content kept: it marks it with the hoarders and drops its own copy once they have acknowledged",
		Params: func() any {
			return &storeParams{Count: 1, Size: 16 << 10, Kind: string(hoarderapi.Asset), Name: "db", Owner: "client", RetryFor: 2 * time.Minute}
		},
		Validate: func(params any) error { return params.(*storeParams).validate() },
		Run: func(ctx context.Context, client node.Env, params any, n int) error {
			p := params.(*storeParams)
			return forEach(ctx, client, p.Count, func(ctx context.Context, i int) error { return p.one(ctx, client, n, i) })
		},
	}
}

func (p *storeParams) validate() error {
	switch {
	case p.SizeMax != 0 && p.SizeMax < p.Size:
		return errors.New("size-max is less than size")
	case p.Kind != string(hoarderapi.Asset) && p.Kind != string(hoarderapi.Database):
		return fmt.Errorf("kind is %q, not asset or database", p.Kind)
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
	root, err := client.Blocks.Add(ctx, randomBytes(client, size))
	if err != nil {
		return err
	}
	req := hoarderapi.MarkRequest{
		Root: root.String(), Kind: hoarderapi.Kind(p.Kind), Target: p.Target, Demand: p.Demand,
		Size: size, Holders: []transport.Peer{client.Self}, Owner: p.Owner,
	}
	if req.Kind == hoarderapi.Database {
		req.Name, req.Version = fmt.Sprintf("%s-%d", p.Name, i), uint64(n)+1
	}
	if err := p.deliver(ctx, client, req); err != nil {
		return err
	}
	if err := remember(client, req); err != nil {
		return err
	}
	return client.Blocks.Remove(root)
}

// remember notes, on the client's disk, what it has stored: a database's newest
// snapshot only.
func remember(client node.Env, req hoarderapi.MarkRequest) error {
	b := new(storage.Batch).Put(storedKey(req.Root), transport.Encode(storedItem{Owner: req.Owner, Name: req.Name}))
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
type storedItem struct{ Owner, Name string }

func randomBytes(client node.Env, size int64) []byte {
	data := make([]byte, size+8)
	for i := int64(0); i < size; i += 8 {
		binary.LittleEndian.PutUint64(data[i:], client.Rand.Uint64())
	}
	return data[:size]
}

func storedKey(root string) storage.Key { return storage.K("stored", root) }

// deliver marks until it is acknowledged or the client gives up.
func (p *storeParams) deliver(ctx context.Context, client node.Env, req hoarderapi.MarkRequest) error {
	hoarders := hoarderapi.NewClient(client.Wire)
	begin := client.Loop.Elapsed()
	for {
		resp, err := hoarders.Mark(ctx, req)
		if err == nil {
			client.Observe("store-acknowledged", node.F("root", req.Root), node.F("holder", resp.Holder), node.F("records", resp.Records))
			return nil
		}
		if transport.KindOf(err) == transport.Invalid || client.Loop.Elapsed()-begin >= p.RetryFor {
			client.Observe("store-given-up", node.F("root", req.Root), node.F("error", err.Error()))
			return err
		}
		if err := clock.Sleep(ctx, client.Loop, storeRetryWait); err != nil {
			return err
		}
	}
}

// itemsParams is what the actions on items that were stored may say.
type itemsParams struct {
	// Count is how many of the stored items are chosen, by lot.
	Count int `yaml:"count" range:"1..1000"`
	// N is how many uses of each are reported.
	N int `yaml:"n" range:"1..1048576"`
}

func itemsAction(name, doc string, each func(ctx context.Context, client node.Env, root string, p *itemsParams) error) scenario.Action {
	return scenario.Action{
		Name:   name,
		Doc:    doc,
		Params: func() any { return &itemsParams{Count: 1, N: 1} },
		Run: func(ctx context.Context, client node.Env, params any, _ int) error {
			p := params.(*itemsParams)
			roots, err := storedItems(client, p.Count)
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
	return itemsAction("demand", "a client reports that stored items are in demand",
		func(ctx context.Context, client node.Env, root string, p *itemsParams) error {
			return hoarderapi.NewClient(client.Wire).Demand(ctx, root, p.N)
		})
}

// retrieveAction reads stored content back from the hoarders: a failure counts
// in the figure actions.failed.
func retrieveAction() scenario.Action {
	return itemsAction("retrieve", "a client fetches stored items from the hoarders and drops them again",
		func(ctx context.Context, client node.Env, root string, _ *itemsParams) error {
			c, err := cid.Decode(root)
			if err != nil {
				return err
			}
			holders, err := hoarderapi.NewClient(client.Wire).Locate(ctx, root)
			if err != nil {
				return err
			}
			ctx, cancel := clock.WithTimeout(ctx, client.Loop, 30*time.Second)
			defer cancel()
			if err := client.Blocks.Fetch(ctx, c, holders, 2*storeSizeMax); err != nil {
				return err
			}
			client.Observe("retrieved", node.F("root", root))
			return client.Blocks.Remove(c)
		})
}

func unmarkAction() scenario.Action {
	return itemsAction("unmark", "a client no longer wants stored items kept",
		func(ctx context.Context, client node.Env, root string, _ *itemsParams) error {
			raw, err := client.Local.Get(storedKey(root))
			if err != nil {
				return err
			}
			var it storedItem
			if err := transport.Decode(raw, &it); err != nil {
				return err
			}
			req := hoarderapi.UnmarkRequest{Root: root, Owner: it.Owner, Name: it.Name, Seq: hoarderapi.Forever}
			if err := hoarderapi.NewClient(client.Wire).Unmark(ctx, req); err != nil {
				return err
			}
			return storage.Delete(client.Local, storedKey(root))
		})
}
