//go:build unix

package project

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTenThousandFunctions take less than a second of a processor; on a slow and busy machine three.
func TestTenThousandFunctions(t *testing.T) {
	p := many(10_000)
	before := processorTime(t)
	c, err := Compile(p, Options{})
	require.NoError(t, err)
	require.Less(t, processorTime(t)-before, 3*time.Second)
	require.Len(t, c.Claims, 10_000)
	require.ErrorContains(t, c.Fits(), "split it")
}

// processorTime is what this process has used.
func processorTime(t *testing.T) time.Duration {
	var used syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
