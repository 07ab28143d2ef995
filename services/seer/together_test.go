package seer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
)

// TestWhoKnowsAllWaitsForNobodyElse: nodes that are told of all there are know who offers what before anybody has said so; their seer
// settles, and says that it knows of all, as soon as each has said its first word, and not while one is missing.
func TestWhoKnowsAllWaitsForNobodyElse(t *testing.T) {
	for _, late := range []time.Duration{0, 500 * time.Millisecond} {
		inCloud(t, func(c *nodetest.Cloud) {
			s := seerNode(c, "s")
			a, b := plainNode(c, "a", "play", []string{"work"}), plainNode(c, "b", "work", nil)
			for _, m := range []*nodetest.Machine{s, a, b} {
				m.AllContacts = true
				for _, o := range []*nodetest.Machine{s, a, b} {
					if o != m {
						m.Contacts = append(m.Contacts, o)
					}
				}
			}
			s.Start()
			a.Start()
			peers, all := a.Service(DiscoveryName).(*discovery).Lookup("work")
			require.True(t, all)
			require.Len(t, peers, 1, "before it has said so")
			seer := func() *Service { return s.Service("seer").(*Service) }
			nodetest.Sleep(late)
			require.False(t, seer().Settled(), "b has not said anything")
			require.False(t, seer().KnowsAll())
			b.Start()
			nodetest.Sleep(300 * time.Millisecond)
			require.True(t, seer().Settled(), "long before settle-after")
			require.True(t, seer().KnowsAll())
			names, all := knows(c, a, "work")
			require.Equal(t, []string{"b"}, names)
			require.True(t, all)
			s.Vanish()
			s.Start()
			nodetest.Sleep(1500 * time.Millisecond)
			require.True(t, seer().Settled(), "its next life, too")
		})
	}
}
