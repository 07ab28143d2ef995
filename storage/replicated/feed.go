package replicated

import (
	"context"
	"sync"

	"github.com/ipfs/go-ds-crdt/pb"
	"github.com/taucloud/tau/storage"
	"google.golang.org/protobuf/proto"
)

// feed is go-ds-crdt's Broadcaster. It hands over the deltas of others one
// payload at a time, and its caller waits until they are processed: go-ds-crdt
// asks for the next payload only then.
type feed struct {
	in     chan []byte
	done   chan struct{}
	closed chan struct{}
	once   sync.Once
	busy   bool // of Next alone
}

func newFeed() *feed {
	return &feed{in: make(chan []byte), done: make(chan struct{}), closed: make(chan struct{})}
}

// Broadcast implements crdt.Broadcaster. What go-ds-crdt wants to broadcast is
// what dag.takeAdded returns.
func (f *feed) Broadcast(context.Context, []byte) error { return nil }

// Next implements crdt.Broadcaster.
func (f *feed) Next(ctx context.Context) ([]byte, error) {
	if f.busy {
		f.busy = false
		select {
		case f.done <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case payload := <-f.in:
		f.busy = true
		return payload, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// process makes go-ds-crdt process deltas, in this order, and waits for it. It reports whether that
// succeeded; otherwise the feed is closed.
func (f *feed) process(cids []storage.CID) bool {
	payload := &pb.CRDTBroadcast{Heads: make([]*pb.Head, len(cids))}
	for i, c := range cids {
		payload.Heads[i] = &pb.Head{Cid: c.Bytes()}
	}
	raw, err := proto.Marshal(payload)
	if err != nil {
		panic(err) // there is nothing in it that could fail
	}
	select {
	case f.in <- raw:
	case <-f.closed:
		return false
	}
	select {
	case <-f.done:
		return true
	case <-f.closed:
		return false
	}
}

// close ends a process that waits.
func (f *feed) close() { f.once.Do(func() { close(f.closed) }) }

// quiet is a logger that discards everything: replica detects every relevant error from the state
// that go-ds-crdt leaves.
type quiet struct{}

func (quiet) Debug(...any)          {}
func (quiet) Debugf(string, ...any) {}
func (quiet) Error(...any)          {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatal(...any)          {}
func (quiet) Fatalf(string, ...any) {}
func (quiet) Info(...any)           {}
func (quiet) Infof(string, ...any)  {}
func (quiet) Panic(...any)          {}
func (quiet) Panicf(string, ...any) {}
func (quiet) Warn(...any)           {}
func (quiet) Warnf(string, ...any)  {}
