//go:build !linux

package sandbox

import (
	"context"
	"errors"
)

// Sandbox runs jobs.
type Sandbox struct{}

// Find finds nothing here: what a run is kept apart with is Linux'.
func Find(context.Context) (*Sandbox, error) {
	return nil, errors.New("builds that run programs need Linux, with bubblewrap")
}

// Backend says what keeps runs apart.
func (*Sandbox) Backend() string { return "none" }

// Apart says in whole what keeps runs apart.
func (*Sandbox) Apart() string { return "none" }

// Run is never reached.
func (*Sandbox) Run(context.Context, Job) ([]byte, error) { return nil, errors.New("no sandbox") }
