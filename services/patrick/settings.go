package patrick

import "time"

// Settings of a patrick. All patricks of a cloud should have the same.
type Settings struct {
	// Lease is how long a monkey holds a job without renewing.
	Lease time.Duration `yaml:"lease"`
	// BuildMax bounds one attempt, however often it is renewed.
	BuildMax time.Duration `yaml:"build-max"`
	// AttemptsMax is how many reported failures end a job.
	AttemptsMax int `yaml:"attempts-max"`
	// LossesMax is how many lost attempts (crashed or unreachable monkeys) end
	// a job.
	LossesMax int `yaml:"losses-max"`
	// BackoffMin is the wait after the first failure; it doubles up to
	// BackoffMax, and is jittered by a quarter.
	BackoffMin time.Duration `yaml:"backoff-min"`
	BackoffMax time.Duration `yaml:"backoff-max"`
	// AnnounceInterval is how often the home offers open jobs again.
	AnnounceInterval time.Duration `yaml:"announce-interval"`
	// KeepFinished is how many finished jobs of a project are kept; older ones
	// are forgotten, and a push of theirs would be a new job.
	KeepFinished int `yaml:"keep-finished"`
	// Copies is on how many patricks a push must be durable before it is
	// acknowledged, if so many can be reached.
	Copies int `yaml:"copies"`
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
	}
}

func (s *Settings) limits() limits {
	return limits{
		failuresMax: max(1, s.AttemptsMax), lossesMax: max(1, s.LossesMax),
		backoffMin: s.BackoffMin, backoffMax: max(s.BackoffMin, s.BackoffMax),
	}
}
