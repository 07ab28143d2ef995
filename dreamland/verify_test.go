package dreamland

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompareShowsTheFirstDifference(t *testing.T) {
	trace := func(lines ...string) *bufio.Reader {
		return bufio.NewReader(strings.NewReader(strings.Join(lines, "\n") + "\n"))
	}
	var copied bytes.Buffer
	difference, lines := compare(trace("1", "2", "3"), trace("1", "2", "3"), &copied)
	require.Empty(t, difference)
	require.Equal(t, 3, lines)
	require.Equal(t, "1\n2\n3\n", copied.String())

	difference, _ = compare(trace("1", "2", "3", "4"), trace("1", "2", "x"), &copied)
	require.Equal(t, strings.TrimPrefix(`
the runs differ from line 3 of the trace on
  both   1 1
  both   2 2
  first  3 3
  first  4 4
  first  5 (the trace ends)
  second 3 x
  second 4 (the trace ends)`, "\n"), difference)

	difference, _ = compare(trace("1"), trace("1", "2"), &copied)
	require.Contains(t, difference, "first  2 (the trace ends)")
	require.Contains(t, difference, "second 2 2")
}
