package tnsapi

import (
	"context"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

// WatchRetryInterval is the pause before a broken watch is opened anew.
const WatchRetryInterval = time.Second

// Watch calls f, in turns of this task, with the current version of a branch and
// again after each change, until ctx ends. Changes may be coalesced; a version
// that f saw before is not told again. When the replica that tells fails, the
// next one is asked, so a change is late rather than missed.
func (c *Client) Watch(ctx context.Context, project, branch string, f func(Version)) error {
	var seen uint64
	hello := transport.Encode(BranchRequest{Project: project, Branch: branch})
	for {
		for _, replica := range c.replicas() {
			c.watchAt(ctx, replica, hello, func(v Version) {
				if v.Order > seen { // a replica that lags tells of the past
					seen = v.Order
					f(v)
				}
			})
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		if err := clock.Sleep(ctx, c.ep.Loop(), WatchRetryInterval); err != nil {
			return err
		}
	}
}

// watchAt follows one replica until the stream breaks.
func (c *Client) watchAt(ctx context.Context, replica transport.Peer, hello []byte, f func(Version)) {
	s, err := c.open(ctx, replica, hello)
	if err != nil {
		return
	}
	defer s.Reset()
	for {
		raw, err := s.Recv(ctx)
		if err != nil {
			return
		}
		var v Version
		if transport.Decode(raw, &v) != nil {
			return
		}
		f(v)
	}
}

func (c *Client) open(ctx context.Context, replica transport.Peer, hello []byte) (*transport.Stream, error) {
	ctx, cancel := clock.WithTimeout(ctx, c.ep.Loop(), TryTimeout)
	defer cancel()
	return c.ep.OpenStream(ctx, replica, Watch, hello)
}
