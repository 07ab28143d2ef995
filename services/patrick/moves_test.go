package patrick

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/storage"
)

// TestAMoveThatIsSeenTwiceIsOneJob: what is seen of a branch is kept after its job was made, so a patrick that ends in between leaves the move to be
// seen once more, by another one and under another delivery.
func TestAMoveThatIsSeenTwiceIsOneJob(t *testing.T) {
	onStreet(t, setup{}, func(s *street) {
		s.branches["main"] = commitOf(1)
		require.Equal(t, "", s.refused(s.deliver(s.patricks[0], s.gitHub("d1", "main", 0, 1))))
		nodetest.Sleep(5 * time.Second)
		require.Len(t, s.all("main"), 1)
		first := 0
		for i, m := range s.patricks {
			s.turn(m, func(ctx context.Context, p *Service) {
				if _, mine, err := p.peers.coordinator(ctx, "forge/site"); err == nil && mine {
					first = i
				}
				b := new(storage.Batch)
				for _, e := range p.store.Entries(seenKey("site")) {
					b.Delete(e.Key)
				}
				require.NoError(t, p.store.Apply(b))
			})
			nodetest.Sleep(2 * time.Second)
		}
		s.patricks[first].Vanish()
		nodetest.Sleep(15 * time.Second)
		other := s.patricks[1-first]
		require.Equal(t, "", s.refused(s.deliver(other, s.gitHub("d2", "main", 0, 1))))
		nodetest.Sleep(15 * time.Second)
		require.Len(t, s.Facts("ref-moved"), 2, "it was seen twice")
		require.Len(t, s.all("main"), 1)
	})
}

// refused is what a delivery is refused with.
func (s *street) refused(status int, body string) string {
	if status/100 == 2 {
		return ""
	}
	return body
}
