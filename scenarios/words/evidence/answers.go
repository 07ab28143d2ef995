package evidence

import (
	"time"

	"github.com/taucloud/tau/sim/check"
)

// LookTimeout bounds one look of an auditor.
const LookTimeout = 5 * time.Second

// NoSweep numbers what is not part of a sweep.
const NoSweep = -1

// ArtifactMax bounds what is fetched of an artifact, in bytes.
const ArtifactMax = 16 << 20

// Began is when the question of an answer was asked.
func Began(f check.Fact) time.Duration { return f.At - time.Duration(f.Int("took")) }
