package tnsapi

import (
	"context"

	"github.com/taucloud/tau/transport"
)

// Follow calls f, in turns of this task, with the current versions of a branch of all projects, "" for all branches, and again with those that
// change, until ctx ends. whole: with these, f has been told all that the replica knew. A version that f saw before is not
// told again, nor an older one; of branches beyond FollowedMax nothing is told. When the replica fails, the next one is
// asked, so a change may be late but is not missed.
func (c *Client) Follow(ctx context.Context, branch string, f func(changed []Version, whole bool)) error {
	seen := map[BranchRequest]Version{}
	hello := transport.Encode(FollowRequest{Branch: branch})
	take := func(part FollowResponse) {
		var news []Version
		for _, v := range part.Versions {
			of := BranchRequest{v.Project, v.Branch}
			old, known := seen[of]
			if (branch == "" || v.Branch == branch) && supersedes(v, old) && (known || len(seen) < FollowedMax) {
				seen[of] = v
				news = append(news, v)
			}
		}
		f(news, part.Whole)
	}
	return listen(ctx, c, Follow, hello, take)
}
