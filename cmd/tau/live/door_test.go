package live

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestABodyIsPaced: it is waited for no longer than what has come allows, in all its parts together.
func TestABodyIsPaced(t *testing.T) {
	require.Equal(t, doorBodyGrace+time.Second, (&pacedBody{come: 2 * doorBodyRate, waited: time.Second}).left())
	require.Negative(t, (&pacedBody{come: 1, waited: doorBodyGrace + time.Second}).left())
}
