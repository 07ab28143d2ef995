package jobs

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/users"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// forge is what the users push to: it makes an event of each push, once, and
// delivers that. It keeps the events that have a name in the timeline, and of
// each branch the newest order, on the client's disk.
type forge struct{ env node.Env }

// notice makes the request of a push: that of an earlier one if it has its name.
func (f forge) notice(ctx context.Context, p *pushParams) (patrickapi.PushRequest, error) {
	if p.Event == "" {
		req, err := p.request(f.env)
		if err == nil {
			req.Event, err = f.event(ctx, req, p)
		}
		return req, err
	}
	key := storage.K("event", p.Event)
	req, err := f.kept(key)
	if errors.Is(err, storage.ErrNotFound) {
		if req, err = p.request(f.env); err == nil {
			req.Event.ID = p.Event
			err = f.keep(key, transport.Encode(req))
		}
	}
	if err != nil || req.Event.Order > 0 {
		return req, err
	}
	event, err := f.event(ctx, req, p)
	if err != nil {
		return req, err
	}
	if req, err = f.kept(key); err != nil || req.Event.Order > 0 {
		return req, err // another delivery of it was faster
	}
	req.Event = event
	return req, f.keep(key, transport.Encode(req))
}

// kept is the request that a named event was delivered with before.
func (f forge) kept(key storage.Key) (req patrickapi.PushRequest, err error) {
	raw, err := f.env.Local.Get(key)
	if err == nil {
		err = transport.Decode(raw, &req)
	}
	return req, err
}

func (f forge) keep(key storage.Key, value []byte) error {
	return f.env.Local.Apply(new(storage.Batch).Put(key, value))
}

// event asks patrick for an order until it has one or the user gives up.
func (f forge) event(ctx context.Context, req patrickapi.PushRequest, p *pushParams) (patrickapi.Event, error) {
	id := req.Event.ID
	if id == "" {
		id = f.draw()
	}
	patricks := patrickapi.NewClient(f.env.Wire)
	branch := storage.K("branch", patrickapi.BranchID(req.Repository, req.Branch))
	var event patrickapi.Event
	gaveUp, err := users.Insist(ctx, f.env, p.RetryFor, []transport.Kind{transport.Invalid}, func(ctx context.Context) (err error) {
		event, err = patricks.NewEvent(ctx, req.Project, req.Repository, req.Branch, id, f.seen(branch))
		return err
	})
	if gaveUp {
		f.env.Observe("push-given-up", node.F("commit", req.Commit), node.F("error", err.Error()))
		err = fmt.Errorf("no order for a push: %w", err)
	}
	if err != nil {
		return event, err
	}
	return event, f.keep(branch, binary.BigEndian.AppendUint64(nil, max(event.Order, f.seen(branch))))
}

// seen is the newest order of a branch that a push was given.
func (f forge) seen(branch storage.Key) uint64 {
	raw, err := f.env.Local.Get(branch)
	if err != nil || len(raw) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(raw)
}

// draw makes a name that nobody else has.
func (f forge) draw() string {
	var id [20]byte
	for i := 0; i < len(id); i += 4 {
		binary.BigEndian.PutUint32(id[i:], f.env.Rand.Uint32())
	}
	return hex.EncodeToString(id[:])
}
