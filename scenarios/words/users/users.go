// Package users is what users of scenarios have in common, whatever they ask for:
// they try again.
package users

import (
	"context"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/transport"
)

// retryWait is the pause between two tries.
const retryWait = time.Second

// Insist does something until it succeeds, is refused for good - its error is of one
// of the final kinds - or has been tried for limit. The error is that of the last try;
// gaveUp is false if the user himself came to an end.
func Insist(ctx context.Context, user node.Env, limit time.Duration, final []transport.Kind, try func(ctx context.Context) error) (gaveUp bool, err error) {
	begin := user.Loop.Elapsed()
	for {
		err := try(ctx)
		if err == nil {
			return false, nil
		}
		if slices.Contains(final, transport.KindOf(err)) || user.Loop.Elapsed()-begin >= limit {
			return true, err
		}
		if err := clock.Sleep(ctx, user.Loop, retryWait); err != nil {
			return false, err
		}
	}
}
