package hoarder

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
	"pgregory.net/rapid"
)

func TestDecide(t *testing.T) {
	settings := *DefaultSettings()
	long := settings.SurplusGrace
	for _, c := range []struct {
		name string
		sit  situation
		want action
	}{
		{"short of copies", situation{state: wanted, target: 3, copies: 1, copiesLive: 1}, compete},
		{"short of copies but one is here", situation{state: wanted, target: 3, copies: 1, copiesLive: 1, held: true}, rest},
		{"complete", situation{state: wanted, target: 3, copies: 3, copiesLive: 3}, rest},
		{"a missing hoarder still counts", situation{state: wanted, target: 3, copies: 3, copiesLive: 2}, rest},
		{"surplus within the hysteresis", situation{state: wanted, target: 3, copies: 4, copiesLive: 4, held: true, ahead: 3, surplusFor: long}, rest},
		{"surplus, ranked last", situation{state: wanted, target: 3, copies: 5, copiesLive: 5, held: true, ahead: 4, surplusFor: long}, release},
		{"surplus, but for a moment only", situation{state: wanted, target: 3, copies: 5, copiesLive: 5, held: true, ahead: 4, surplusFor: long - 1}, rest},
		{"surplus, but among the best", situation{state: wanted, target: 3, copies: 5, copiesLive: 5, held: true, ahead: 2, surplusFor: long}, rest},
		{"surplus only if the missing count", situation{state: wanted, target: 3, copies: 5, copiesLive: 4, held: true, ahead: 3, surplusFor: long}, rest},
		{"withdrawn", situation{state: abandoned, held: true, endedFor: long}, discard},
		{"withdrawn just now", situation{state: abandoned, held: true}, rest},
		{"withdrawn and not here", situation{state: abandoned, endedFor: long}, rest},
		{"superseded", situation{state: superseded, target: 3, copies: 1, held: true, endedFor: long}, supersede},
		{"superseded is not repaired", situation{state: superseded, target: 3, copies: 1}, rest},
		{"a pin that was not seen", situation{state: unknown, held: true, copies: 9, copiesLive: 9, ahead: 8, surplusFor: long, endedFor: long}, rest},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, decide(c.sit, settings)) })
	}
}

// TestWhoReleases compares the decision of each holder with an oracle that
// sorts all holders and names the ones beyond the target.
func TestWhoReleases(t *testing.T) {
	settings := *DefaultSettings()
	rapid.Check(t, func(t *rapid.T) {
		root := rapid.StringN(1, 8, -1).Draw(t, "root")
		target := rapid.IntRange(1, 5).Draw(t, "target")
		holders := somePeers(rapid.IntRange(1, 12).Draw(t, "holders"))
		sorted := rendezvous.Rank(root, holders)
		for _, p := range holders {
			sit := situation{
				state: wanted, target: target, held: true, copies: len(holders), copiesLive: len(holders),
				ahead: rendezvous.Of(root).Ahead(p, holders), surplusFor: time.Hour,
			}
			want := rest
			if len(holders) > target+settings.SurplusMax && slices.Index(sorted, p) >= target {
				want = release
			}
			require.Equal(t, want, decide(sit, settings))
			yields := mayYield(sit) == release
			require.Equal(t, len(holders) > target && slices.Index(sorted, p) >= target, yields)
		}
	})
}

func somePeers(n int) []transport.Peer {
	list := make([]transport.Peer, n)
	for i := range list {
		list[i] = transport.NewIdentity([]byte{byte(i), byte(i >> 8)}).Peer()
	}
	return list
}
