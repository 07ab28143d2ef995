package monkey

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLockIsValidForALeaseAfterTheLastGoodRequest(t *testing.T) {
	for name, c := range map[string]struct {
		lock lock
		now  time.Duration
		want bool
	}{
		"just taken":        {lock{lease: 10, good: 5}, 5, true},
		"just before":       {lock{lease: 10, good: 5}, 14, true},
		"to the moment":     {lock{lease: 10, good: 5}, 15, false},
		"long after":        {lock{lease: 10, good: 5}, 1000, false},
		"given up":          {lock{lease: 10, good: 5, lost: "conflict"}, 6, false},
		"renewed meanwhile": {lock{lease: 10, good: 12}, 15, true},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, c.lock.valid(c.now)) })
	}
}
