package seer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
)

// Of what seers remember of a member's past the oldest counts, whatever came first.
func TestTheOldestHistoryCounts(t *testing.T) {
	alice, bob := transport.Peer{1}, transport.Peer{2}
	m := &registered{}
	require.False(t, m.remember(seerapi.History{}), "nobody says")
	require.True(t, m.remember(seerapi.History{FirstSeen: 20, AdmittedBy: alice}))
	require.False(t, m.remember(seerapi.History{FirstSeen: 20, AdmittedBy: bob}))
	require.False(t, m.remember(seerapi.History{FirstSeen: 21}))
	require.False(t, m.remember(seerapi.History{FirstSeen: -1}))
	require.True(t, m.remember(seerapi.History{FirstSeen: 10, AdmittedBy: bob}))
	require.True(t, m.remember(seerapi.History{FirstSeen: 10, AdmittedBy: alice}), "all come to the same")
	require.Equal(t, seerapi.History{FirstSeen: 10, AdmittedBy: alice}, m.history)
}

// When a member was first seen, and by whom it was admitted, every seer knows, also when all have restarted at once, and one that
// has lost its disk.
func TestWhatIsKeptOfAMembersPast(t *testing.T) {
	key := transport.NewIdentity([]byte("cloud"))
	inCloud(t, func(c *nodetest.Cloud) {
		c.Key = &key
		a, b := seerNode(c, "a"), seerNode(c, "b")
		a.Contacts, b.Contacts = []*nodetest.Machine{b}, []*nodetest.Machine{a}
		a.Start()
		b.Start()
		nodetest.Sleep(10 * time.Second)
		began := time.Now().Unix()
		v := plainNode(c, "v", "work", nil, a, b).Start()
		nodetest.Sleep(20 * time.Second)
		history := func(m *nodetest.Machine) (h seerapi.History) {
			turn(c, m, func(s *Service) { h = s.History(v.Peer()) })
			return h
		}
		first := history(a)
		require.InDelta(t, began, first.FirstSeen, 5)
		require.Equal(t, key.Peer(), first.AdmittedBy)
		require.Equal(t, first, history(b))
		nodetest.Sleep(time.Hour)
		for _, m := range []*nodetest.Machine{a, b} {
			m.Vanish()
		}
		b.Disk = memdisk.New()
		for _, m := range []*nodetest.Machine{a, b} {
			m.Start()
		}
		nodetest.Sleep(20 * time.Second)
		require.Equal(t, first, history(a))
		require.Equal(t, first, history(b))
	})
}
