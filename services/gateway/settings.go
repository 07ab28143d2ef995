package gateway

import "time"

// Settings of a gateway.
type Settings struct {
	// RequestsMax is how many requests it serves at once; further ones are told to come again.
	RequestsMax int `yaml:"requests-max" range:"1..100000"`
	// HostRate is how many requests a second it takes for one host, with twice as many at once; 0: as many as come.
	HostRate int `yaml:"host-rate" range:"0..1000000"`
	// BodyMax bounds the body of a request, in bytes.
	BodyMax int64 `yaml:"body-max" range:"0..1TiB"`
	// TriesMax is how many substrates are asked for one request at most, each one once.
	TriesMax int `yaml:"tries-max" range:"1..16"`
	// TryTimeout is how long the head of a response may take before a request that can be repeated is sent to another
	// substrate, if there is one.
	TryTimeout time.Duration `yaml:"try-timeout" range:"10ms..10m"`
	// HeadTimeout bounds the wait for the head of a response, over all tries.
	HeadTimeout time.Duration `yaml:"head-timeout" range:"10ms..1h"`
	// QueueTimeout bounds how long a request waits while the substrates are busy, or this gateway has as many requests there as it may;
	// of the time for the head.
	QueueTimeout time.Duration `yaml:"queue-timeout" range:"0s..1m"`
	// IdleTimeout is how long a response may say nothing in its middle.
	IdleTimeout time.Duration `yaml:"idle-timeout" range:"10ms..1h"`
	// FollowInterval is how often it asks seers which substrates live.
	FollowInterval time.Duration `yaml:"follow-interval" range:"100ms..1m"`
	// EjectAfter is after how many failures in a row a substrate is not asked any more; EjectFor for how long the first time.
	// Each time in a row doubles that, up to EjectMax.
	EjectAfter int           `yaml:"eject-after" range:"1..1000"`
	EjectFor   time.Duration `yaml:"eject-for" range:"10ms..1h"`
	EjectMax   time.Duration `yaml:"eject-max" range:"10ms..1h"`
	// DrainTimeout is how long requests may take that are being served when it is told to end.
	DrainTimeout time.Duration `yaml:"drain-timeout" range:"0s..9s"`
}

// DefaultSettings returns the defaults.
func DefaultSettings() *Settings {
	return &Settings{
		RequestsMax: 4096, BodyMax: 64 << 20, TriesMax: 3, TryTimeout: 5 * time.Second, HeadTimeout: 30 * time.Second, QueueTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		FollowInterval: time.Second, EjectAfter: 3, EjectFor: time.Second, EjectMax: 30 * time.Second, DrainTimeout: 8 * time.Second,
	}
}
