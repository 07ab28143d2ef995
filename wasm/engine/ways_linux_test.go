package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// ways of finding pages that were written; all that this kernel has must do.
var ways = map[int]string{byScan: "scan", byPagemap: "pagemap", byNone: "none"}

func force(t *testing.T, way int) {
	if way != byNone && !tracks(way) {
		t.Skip("the kernel does not have this")
	}
	forceWay(way)
	t.Cleanup(func() { forceWay(-1) })
}

func TestTheBestWayIsTaken(t *testing.T) {
	require.True(t, tracks(trackBy()) || trackBy() == byNone)
}

func forceWay(way int) { forceTrack = way }
