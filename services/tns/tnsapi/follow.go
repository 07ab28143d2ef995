package tnsapi

import (
	"context"

	"github.com/taucloud/tau/transport"
)

// Follow calls f, in turns of this task, with the current versions of a branch of all projects, and again with those that
// change, until ctx ends. whole: with these, f has been told all that the replica knew. A version that f saw before is not
// told again, nor an older one; of projects beyond FollowedMax nothing is told. When the replica fails, the next one is
// asked, so a change may be late but is not missed.
func (c *Client) Follow(ctx context.Context, branch string, f func(changed []Version, whole bool)) error {
	seen := map[string]Version{}
	hello := transport.Encode(FollowRequest{Branch: branch})
	take := func(part FollowResponse) {
		var news []Version
		for _, v := range part.Versions {
			old, known := seen[v.Project]
			if v.Branch == branch && supersedes(v, old) && (known || len(seen) < FollowedMax) {
				seen[v.Project] = v
				news = append(news, v)
			}
		}
		f(news, part.Whole)
	}
	return listen(ctx, c, Follow, hello, take)
}
