package tnsapi

import (
	"bytes"
	"cmp"
	"context"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

const (
	// watchRetryInterval is the pause before a broken watch is opened anew. Where all members of a cloud are known, as they are
	// started together, it is watchRetryMin at first.
	watchRetryInterval, watchRetryMin = time.Second, 50 * time.Millisecond
	// WatchKeepAlive is how often a replica sends the current version although nothing has changed.
	// After twice that without a message a client considers the stream broken.
	WatchKeepAlive = 5 * time.Second
)

// Watch calls f, in turns of this task, with the current version of a branch and again after each
// change, until ctx ends. Changes may be coalesced; a version that f saw before is not told again.
// When the replica fails, the next one is asked, so a change may be late but is not missed.
func (c *Client) Watch(ctx context.Context, project, branch string, f func(Version)) error {
	var seen Version
	hello := transport.Encode(BranchRequest{Project: project, Branch: branch})
	return listen(ctx, c, Watch, hello, func(v Version) {
		if supersedes(v, seen) {
			seen = v
			f(v)
		}
	})
}

// listen calls take with each message of a stream of one replica or another, until ctx ends.
func listen[M any](ctx context.Context, c *Client, name transport.StreamName, hello []byte, take func(M)) error {
	first := watchRetryInterval
	if d, is := c.asker.Endpoint().Directory().(interface{ AllContacts() bool }); is && d.AllContacts() {
		first = watchRetryMin
	}
	for pause := first; ; pause = min(2*pause, watchRetryInterval) {
		for _, replica := range c.asker.Order("") {
			if listenTo(ctx, c, name, replica, hello, take) {
				pause = first
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		if err := clock.Sleep(ctx, c.asker.Endpoint().Loop(), pause); err != nil {
			return err
		}
	}
}

// listenTo listens to one replica until the stream breaks. It reports whether it has heard anything.
func listenTo[M any](ctx context.Context, c *Client, name transport.StreamName, replica transport.Peer, hello []byte, take func(M)) (heard bool) {
	s, err := c.open(ctx, name, replica, hello)
	if err != nil {
		return heard
	}
	defer s.Reset()
	for {
		raw, err := c.receive(ctx, s)
		if err != nil {
			return heard
		}
		var m M
		if transport.Decode(raw, &m) != nil {
			return heard
		}
		take(m)
		heard = true
	}
}

func (c *Client) open(ctx context.Context, name transport.StreamName, replica transport.Peer, hello []byte) (*transport.Stream, error) {
	ctx, cancel := clock.WithTimeout(ctx, c.asker.Endpoint().Loop(), tryTimeout)
	defer cancel()
	return name.Open(ctx, c.asker.Endpoint(), replica, hello)
}

func (c *Client) receive(ctx context.Context, s *transport.Stream) ([]byte, error) {
	ctx, cancel := clock.WithTimeout(ctx, c.asker.Endpoint().Loop(), 2*WatchKeepAlive)
	defer cancel()
	return s.Recv(ctx)
}

// supersedes reports whether v is newer than seen: neither a repetition, nor an older version from
// a replica that lags. Different versions of equal order exist only after partitioned replicas have
// merged.
func supersedes(v, seen Version) bool {
	same := v.Job == seen.Job && v.Token == seen.Token && bytes.Equal(v.Digest, seen.Digest)
	older := cmp.Or(cmp.Compare(v.Order, seen.Order), cmp.Compare(v.Rollback, seen.Rollback)) < 0
	return !older && v.Order > 0 && !same
}
