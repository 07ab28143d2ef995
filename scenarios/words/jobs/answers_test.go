package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhyNobodyCouldListAllJobs: there is a reason also when no list has come to its end.
func TestWhyNobodyCouldListAllJobs(t *testing.T) {
	c := newAnswers()
	require.Contains(t, c.whyNot(), "no audit has come to the end of the list")
	c.broken = "a page of the list of jobs is an error: unavailable"
	require.Equal(t, "a page of the list of jobs is an error: unavailable", c.whyNot())
	c.sweepEnds()
	require.Equal(t, "a page of the list of jobs is an error: unavailable", c.whyNot())
}
