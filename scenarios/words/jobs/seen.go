package jobs

import (
	"time"

	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// Patrick is what checks see of a patrick that runs.
type Patrick interface {
	Job(id string) patrickapi.Job
	Status(id string) patrickapi.Status
	Forgot(id string) bool
	Overtaken(id string) bool
	Source(id string) string
	HasSource(source string) bool
	Known() int
	Stored() int
	Lease() time.Duration
}

// Monkey is what checks see of a monkey that runs.
type Monkey interface {
	Holding() []monkey.Held
	Stored() int
}

var (
	_ Patrick = (*patrick.Service)(nil)
	_ Monkey  = (*monkey.Service)(nil)
)
