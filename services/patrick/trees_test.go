package patrick

import (
	"context"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

func TestKeepTimeFollowsTheSize(t *testing.T) {
	for bytes, want := range map[int64]time.Duration{
		-1: 4 * time.Second, 0: 4 * time.Second, 8 << 10: 6 * time.Second,
		patrickapi.TreeLenMax: 772 * time.Second, patrickapi.TreeLenMax * 2: 772 * time.Second,
	} {
		require.Equal(t, want, keepTime(bytes), "%d bytes", bytes)
	}
}

// A job whose tree nobody has waits for whoever may have it, and ends when all have said that they do not; what is pushed once more before is built.
func TestAJobWithoutATree(t *testing.T) {
	for name, again := range map[string]bool{"ends": false, "is pushed once more": true} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, setup{}, func(o *office) {
				req := aPush("c", 1)
				job := o.push(req)
				first, second := o.ranked()[0], o.ranked()[1]
				second.Vanish()
				o.forgetTree(first, job)
				_, err := o.monkeys[0].claim(job)
				requireKind(t, transport.Conflict, err, "its tree is not here yet")
				nodetest.Sleep(time.Minute)
				require.Equal(t, patrickapi.Open, o.job(job).Status)
				require.Empty(t, o.Facts("tree-lost"))
				if again {
					_, err := o.deliver(req)
					require.NoError(t, err)
					o.monkeys[0].mustClaim(job)
					return
				}
				second.Start()
				o.forgetTree(second, job)
				nodetest.Sleep(20 * time.Second)
				require.Equal(t, patrickapi.Failed, o.job(job).Status)
				require.Contains(t, o.job(job).Error, "no patrick has its tree any more")
				require.NotEmpty(t, o.Facts("tree-lost"))
			})
		})
	}
}

// forgetTree removes the tree of a job from a patrick.
func (o *office) forgetTree(m *nodetest.Machine, job string) {
	o.turn(m, func(_ context.Context, s *Service) {
		root, err := cid.Decode(s.board.briefs[job].source)
		require.NoError(o, err)
		require.NoError(o, s.env.Blocks.Remove(root))
	})
}
