package sim

import (
	"fmt"
	"os"
	"time"
)

// stalled reports a world that is stuck and ends the process: the bubble cannot
// be left in any other way.
func stalled(at, limit time.Duration) {
	fmt.Fprintf(os.Stderr, "sim: no event for %v of real time at virtual time %v; all goroutines:\n%s\n", limit, at, allStacks())
	os.Exit(70)
}
