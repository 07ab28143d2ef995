package monkey

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

func TestLockIsValidForALeaseAfterTheLastGoodRequest(t *testing.T) {
	for name, c := range map[string]struct {
		lock lock
		now  time.Duration
		want bool
	}{
		"just taken":        {lock{lease: 10, renewedAt: 5}, 5, true},
		"just before":       {lock{lease: 10, renewedAt: 5}, 14, true},
		"to the moment":     {lock{lease: 10, renewedAt: 5}, 15, false},
		"long after":        {lock{lease: 10, renewedAt: 5}, 1000, false},
		"given up":          {lock{lease: 10, renewedAt: 5, lost: "conflict"}, 6, false},
		"renewed meanwhile": {lock{lease: 10, renewedAt: 12}, 15, true},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, c.lock.valid(c.now)) })
	}
}

func TestFetchTimeFollowsTheSize(t *testing.T) {
	for bytes, want := range map[int64]time.Duration{
		-1: 10 * time.Second, 0: 10 * time.Second, 8 << 10: 12 * time.Second,
		patrickapi.TreeLenMax: 778 * time.Second, patrickapi.TreeLenMax * 2: 778 * time.Second,
	} {
		require.Equal(t, want, fetchTime(bytes), "%d bytes", bytes)
	}
}

func TestDefaults(t *testing.T) {
	require.Equal(t, &Settings{Slots: 2, RaceWindow: 200 * time.Millisecond, PollInterval: 5 * time.Second, Branch: "main"}, DefaultSettings())
}

func TestASuccessIsWhatHasNoErrorOrIsPublished(t *testing.T) {
	mishap := errors.New("out of luck")
	require.True(t, outcome{}.succeeded())
	require.True(t, outcome{published: true}.succeeded())
	require.True(t, outcome{published: true, err: mishap}.succeeded())
	require.False(t, outcome{err: mishap}.succeeded())
}
