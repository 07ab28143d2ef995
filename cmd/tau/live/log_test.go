package live

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheLastWarningsAreKept, with what they are about, and those that are repeated once.
func TestTheLastWarningsAreKept(t *testing.T) {
	var out bytes.Buffer
	log := NewLog(&out, slog.LevelInfo, true)
	log.Info("all is well")
	log.With("service", "patrick").Warn("the disk is full", "free", 7)
	log.With("service", "patrick").Warn("the disk is full", "free", 7)
	log.Error("it has failed")
	kept := log.kept.all()
	require.Len(t, kept, 2)
	require.Equal(t, "the disk is full service=patrick free=7", kept[0].Text)
	require.Equal(t, 2, kept[0].Times)
	require.Equal(t, "it has failed", kept[1].Text)
	require.Equal(t, 4, strings.Count(out.String(), "\n"))
	for i := range 2 * WarningsMax {
		log.Warn(fmt.Sprint(i))
	}
	kept = log.kept.all()
	require.Len(t, kept, WarningsMax)
	require.Equal(t, fmt.Sprint(2*WarningsMax-1), kept[WarningsMax-1].Text)
}
