package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCoverage(t *testing.T) {
	c := NewCoverage()
	first := Exercised{Marks: map[string]int{"a/x": 7}, Passed: map[string]int{"a/p": 1}, Moments: map[string]int{"crash monkey lock-taken": 2, "crash monkey quiet": 1}}
	require.Equal(t, []string{"mark a/x", "failpoint a/p", "crash monkey lock-taken", "crash monkey quiet"}, first.Reached())
	c.Add(&first)
	c.Add(&Exercised{Marks: map[string]int{"a/x": 1, "a/y": 1}, Moments: map[string]int{"crash monkey quiet": 9, "cut seer down": 1}})
	require.Equal(t, []string{"b/z"}, c.MissingMarks([]string{"a/x", "a/y", "b/z"}))
	var out strings.Builder
	c.Write(&out, []string{"a/x", "a/y", "b/z"}, []string{"a/p"})
	golden(t, "coverage", out.String())
}
