package auth

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/transport"
	"pgregory.net/rapid"
)

// However messages of several auths that count at once are lost and overtake each other: who was counted stays so, and no more
// are than the invitation is for.
func TestNeverMoreThanItIsFor(t *testing.T) {
	auths := []transport.Peer{{1}, {2}, {3}}
	type attempt struct {
		ballot   authapi.Ballot
		who      transport.Peer
		promised []authapi.TallyResponse
		used     []transport.Peer // what it asks to accept, once a majority has promised
		accepted int
	}
	rapid.Check(t, func(t *rapid.T) {
		uses := rapid.IntRange(1, 3).Draw(t, "uses")
		acceptors := make([]tally, len(auths))
		var attempts []*attempt
		var counted []transport.Peer
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(attempts) == 0 || rapid.IntRange(0, 4).Draw(t, "begins") == 0 {
				by := rapid.IntRange(0, len(auths)-1).Draw(t, "by")
				attempts = append(attempts, &attempt{
					ballot: authapi.Ballot{N: acceptors[by].Promised.N + 1, By: auths[by]}, who: transport.Peer{byte(10 + rapid.IntRange(0, 5).Draw(t, "who"))},
				})
				a := attempts[len(attempts)-1]
				require.True(t, acceptors[by].promise(a.ballot))
				a.promised = append(a.promised, authapi.TallyResponse{Accepted: acceptors[by].Accepted, Used: acceptors[by].Used})
				continue
			}
			a := rapid.SampledFrom(attempts).Draw(t, "attempt")
			at := &acceptors[rapid.IntRange(0, len(auths)-1).Draw(t, "at")]
			if a.used == nil {
				before := authapi.TallyResponse{Accepted: at.Accepted, Used: at.Used}
				if !at.promise(a.ballot) {
					continue
				}
				if a.promised = append(a.promised, before); len(a.promised) < 2 {
					continue
				}
				used := slices.Clone(newest(a.promised))
				if !slices.Contains(used, a.who) && len(used) < uses {
					used = append(used, a.who)
				}
				a.used = used
				continue
			}
			if at.Accepted == a.ballot || !at.accept(a.ballot, a.used) {
				continue
			}
			if a.accepted++; a.accepted == 2 {
				// An earlier ballot may come through later, which the later one has seen.
				long, short := counted, a.used
				if len(short) > len(long) {
					long, short = short, long
				}
				for _, who := range short {
					require.Contains(t, long, who, "who was counted is forgotten")
				}
				counted = long
				require.LessOrEqual(t, len(counted), uses)
			}
		}
	})
}
