package seerapi

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
)

func numbered(n int) (p transport.Peer) {
	binary.BigEndian.PutUint32(p[:], uint32(n)+1)
	return p
}

// TestAFollowerIsBounded: what a seer tells may not add up to more than
// followedMax members.
func TestAFollowerIsBounded(t *testing.T) {
	full := &Follower[int]{members: map[transport.Peer]int{}}
	for i := range followedMax {
		full.members[numbered(i)] = i
	}
	v := 1
	told := func(isFull bool, change map[int]*int) update[int] {
		u := update[int]{full: isFull, members: map[transport.Peer]*int{}}
		for i, kept := range change {
			u.members[numbered(i)] = kept
		}
		return u
	}
	require.NoError(t, full.bound(told(false, nil)))
	require.NoError(t, full.bound(told(false, map[int]*int{3: &v, 5: &v})), "those that are known")
	require.NoError(t, full.bound(told(false, map[int]*int{3: nil, followedMax: &v})), "one for another")
	require.NoError(t, full.bound(told(false, map[int]*int{followedMax: nil})), "one that was not known is gone")
	err := full.bound(told(false, map[int]*int{followedMax: &v}))
	require.Equal(t, transport.Invalid, transport.KindOf(err))
	require.Error(t, full.bound(told(false, map[int]*int{followedMax: &v, followedMax + 1: nil})))
	require.NoError(t, full.bound(told(true, map[int]*int{followedMax: &v})), "all others are void")

	all := map[int]*int{}
	for i := range followedMax {
		all[i] = &v
	}
	empty := &Follower[int]{}
	require.NoError(t, empty.bound(told(true, all)))
	all[followedMax] = &v
	require.Error(t, empty.bound(told(true, all)))
	require.Error(t, full.bound(told(true, all)), "also of those that are known")
}
