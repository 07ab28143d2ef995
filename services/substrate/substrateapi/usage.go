package substrateapi

import (
	"cmp"
	"time"
)

// UsagesMax bounds the functions of which a substrate knows what they have used: those that were asked for last.
const UsagesMax = 512

// UsageRequest asks what functions have used since the node's start.
type UsageRequest struct {
	// Project "" means all; Branch "" the one in production.
	Project, Branch string
}

// UsageResponse is that, by project, branch and function, of at most UsagesMax.
type UsageResponse struct {
	// Run changes with each start of the node, when all begins at nothing again.
	Run       uint64
	Functions []Usage
}

// Usage is what one function has used on one node.
type Usage struct {
	Project, Branch, Function string
	// Commit is the version that has answered last.
	Commit string
	// Requests were run, Errors of them were stopped, failed or were answered with 500 or more; Cold had to wait until the module was loaded.
	// Refused found no place, and are no Requests.
	Requests, Errors, Cold, Refused uint64
	// InFlight run now, Waiting wait for a place.
	InFlight, Waiting int
	// Fuel is what all have cost, in units of the engine (instructions, about), FuelMax the dearest one.
	Fuel, FuelMax uint64
	// MemoryMax is the most that one had, LimitMemory what one may have, in bytes.
	MemoryMax, LimitMemory uint64
	// TookAll is the sum of what they took, Took how many took no longer than each of TookBounds, and no less than the one before; the last, longer
	// than all.
	TookAll time.Duration
	Took    []uint64
	// At is when the last one ended, in nanoseconds of Unix time.
	At int64
}

// TookBounds are the bounds of Usage.Took.
var TookBounds = []time.Duration{
	time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, 2500 * time.Millisecond, 10 * time.Second,
}

// Compare is the order by name.
func (u Usage) Compare(v Usage) int {
	return cmp.Or(cmp.Compare(u.Project, v.Project), cmp.Compare(u.Branch, v.Branch), cmp.Compare(u.Function, v.Function))
}
