package ask

import (
	"context"
	"slices"

	"github.com/taucloud/tau/transport"
)

type onlyKey struct{}

// Only is a context in which no peer is asked but these, in the order in which they would be asked
// otherwise: a user who speaks to one replica. Of none, nobody is asked, which is Unreachable.
func Only(ctx context.Context, peers []transport.Peer) context.Context {
	return context.WithValue(ctx, onlyKey{}, peers)
}

// Among are those of some peers that may be asked in a context, in their order: all, but below
// [Only].
func Among(ctx context.Context, peers []transport.Peer) []transport.Peer {
	only, limited := ctx.Value(onlyKey{}).([]transport.Peer)
	if !limited {
		return peers
	}
	return slices.DeleteFunc(slices.Clone(peers), func(p transport.Peer) bool { return !slices.Contains(only, p) })
}
