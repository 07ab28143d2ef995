// Package counter is a service of somebody else: it counts what it is told to, and
// what it has acknowledged survives a power cut. It knows nothing of the simulator;
// words.go is what stories can say of it.
package counter

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Service is its name in the directory.
const Service = "counter"

// AddRequest adds N; AddResponse is the total, which is on the disk.
type (
	AddRequest  struct{ N uint64 }
	AddResponse struct{ Total uint64 }
)

// Add is the only method.
var Add = transport.Method[AddRequest, AddResponse]{Name: "counter/add", Rule: transport.Member}

// beforeSync is where a story can plant a bug: what is dropped here is acknowledged
// and not on the disk.
var beforeSync = fail.Register("counter/before-sync", "the total is written, and may be lost in a power cut")

// Settings of a counter.
type Settings struct {
	Step uint64 `yaml:"step" range:"1..1000" doc:"what each add is multiplied by"`
}

// Spec is what a node needs to run it.
func Spec() node.Spec {
	return node.Spec{
		Name: Service, Doc: "counts",
		Settings: func() any { return &Settings{Step: 1} },
		New: func(env node.Env, settings any) (node.Service, error) {
			return &Counter{env: env, settings: *settings.(*Settings)}, nil
		},
	}
}

// Counter is a running counter. At most one of its tasks runs at a time, so it has no
// locks: a function that takes a ctx may wait, one that does not is atomic.
type Counter struct {
	env      node.Env
	settings Settings
	total    uint64
}

var totalKey = storage.K("total")

// Start implements node.Service: it reads what there was before.
func (c *Counter) Start(context.Context) error {
	raw, err := c.env.Local.Get(totalKey)
	switch {
	case err == nil && len(raw) == 8:
		c.total = binary.BigEndian.Uint64(raw)
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		return err
	}
	Add.Serve(c.env.Wire, c.add)
	return nil
}

// Stop implements node.Service.
func (c *Counter) Stop(ctx context.Context) error { return c.env.Local.Sync(ctx) }

// Total is what has been counted, for checks.
func (c *Counter) Total() uint64 { return c.total }

func (c *Counter) add(ctx context.Context, _ transport.Peer, req AddRequest) (AddResponse, error) {
	c.total += req.N * c.settings.Step
	total := c.total
	if err := storage.Put(c.env.Local, totalKey, binary.BigEndian.AppendUint64(nil, total)); err != nil {
		return AddResponse{}, err
	}
	switch err := beforeSync.Hit(ctx, c.env); {
	case err == nil:
		if err := c.env.Local.Sync(ctx); err != nil {
			return AddResponse{}, err
		}
	case !errors.Is(err, fail.ErrDrop):
		return AddResponse{}, err
	}
	c.env.Observe("counted", node.F("total", total))
	return AddResponse{Total: total}, nil
}
