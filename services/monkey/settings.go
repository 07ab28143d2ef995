package monkey

import "time"

// Settings of a monkey.
type Settings struct {
	// Slots is how many jobs are built at once.
	Slots int `yaml:"slots" range:"1..1024"`
	// RaceWindow is over how long the monkeys that were offered a job spread
	// their claims, best-ranked first.
	RaceWindow time.Duration `yaml:"race-window" range:"0s..1m"`
	// PollInterval is how often a monkey with a free slot asks for open jobs
	// unasked. It grows with the number of monkeys, so that all together ask at
	// most ten times a second.
	PollInterval time.Duration `yaml:"poll-interval" range:"100ms..1h"`
	// Branch is the one in production. What is built of others gets hosts of their own below the cloud's domain. Substrates should have
	// the same.
	Branch string `yaml:"branch" range:"1..256"`
}

// DefaultSettings returns the defaults.
func DefaultSettings() *Settings {
	return &Settings{
		Slots:        2,
		RaceWindow:   200 * time.Millisecond,
		PollInterval: 5 * time.Second,
		Branch:       "main",
	}
}

// pollsPerSecondMax bounds the polls of all monkeys of a cloud.
const pollsPerSecondMax = 10
