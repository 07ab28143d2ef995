package patrick

import (
	"fmt"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/storage"
)

// Settings of a patrick. All patricks of a cloud should have the same.
type Settings struct {
	// Lease is how long a monkey holds a job without renewing.
	Lease time.Duration `yaml:"lease" range:"1s..24h"`
	// BuildMax bounds one attempt, however often it is renewed.
	BuildMax time.Duration `yaml:"build-max" range:"1s..24h"`
	// AttemptsMax is how many reported failures end a job.
	AttemptsMax int `yaml:"attempts-max" range:"1..1000"`
	// LossesMax is how many lost attempts (crashed or unreachable monkeys) end
	// a job.
	LossesMax int `yaml:"losses-max" range:"1..1000"`
	// BackoffMin is the wait after the first failure; it doubles up to
	// BackoffMax, and is jittered by a quarter.
	BackoffMin time.Duration `yaml:"backoff-min" range:"1ms..24h"`
	BackoffMax time.Duration `yaml:"backoff-max" range:"1ms..24h"`
	// AnnounceInterval is how often the coordinator offers open jobs again.
	AnnounceInterval time.Duration `yaml:"announce-interval" range:"100ms..1h"`
	// KeepFinished is how many finished jobs of a project are kept; older ones
	// are forgotten but for their ids, see memory.
	KeepFinished int `yaml:"keep-finished" range:"1..1000000"`
	// Copies is on how many patricks a push must be durable before it is
	// acknowledged, if so many can be reached.
	Copies int `yaml:"copies" range:"1..16"`
	// PollEvery is how often the branches of each repository are looked at where no webhook asks for it.
	PollEvery time.Duration `yaml:"poll-every" range:"1s..24h"`
	// History bounds what its replica keeps for those that lag behind.
	History storage.History `yaml:"history"`
}

// DefaultSettings returns the defaults.
func DefaultSettings() *Settings {
	return &Settings{
		Lease:            10 * time.Second,
		BuildMax:         10 * time.Minute,
		AttemptsMax:      3,
		LossesMax:        10,
		BackoffMin:       time.Second,
		BackoffMax:       30 * time.Second,
		AnnounceInterval: 5 * time.Second,
		KeepFinished:     1000,
		Copies:           2,
		PollEvery:        time.Minute,
		History:          storage.DefaultHistory(),
	}
}

// Conflicts implements node.Ruled: an attempt is renewed at least once before it
// is too long, and a pause grows.
func (s *Settings) Conflicts() (list []*node.SettingError) {
	if s.Lease > s.BuildMax {
		list = append(list, &node.SettingError{
			Key: "lease", What: fmt.Sprintf("%s is more than build-max, %s", s.Lease, s.BuildMax), Hint: "allowed with it: at most " + s.BuildMax.String(),
		})
	}
	if s.BackoffMin > s.BackoffMax {
		list = append(list, &node.SettingError{
			Key: "backoff-min", What: fmt.Sprintf("%s is more than backoff-max, %s", s.BackoffMin, s.BackoffMax), Hint: "allowed with it: at most " + s.BackoffMax.String(),
		})
	}
	return list
}

func (s *Settings) limits() limits {
	return limits{
		failuresMax: max(1, s.AttemptsMax), lossesMax: max(1, s.LossesMax),
		backoffMin: s.BackoffMin, backoffMax: max(s.BackoffMin, s.BackoffMax),
	}
}
