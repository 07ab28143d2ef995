package substrate

import "time"

// Settings of a substrate.
type Settings struct {
	// Branch is the one in production, whose versions are served at the hosts of their projects. Others are at hosts of their own.
	Branch string `yaml:"branch" range:"1..256"`
	// RequestsMax is how many requests it serves at once; further ones are told to come again.
	RequestsMax int `yaml:"requests-max" range:"1..100000"`
	// CacheSize is how many bytes of assets it keeps on its disk. What is being served is kept above that.
	CacheSize int64 `yaml:"cache-size" range:"0..1024TiB"`
	// MemorySize is how many bytes of small assets it keeps in memory as well.
	MemorySize int64 `yaml:"memory-size" range:"0..1TiB"`
	// TableSize is how many bytes of what versions say of routes and resources it keeps. Projects beyond that are not served.
	TableSize int64 `yaml:"table-size" range:"1MiB..1TiB"`
	// FetchTimeout bounds the fetch of a version's assets.
	FetchTimeout time.Duration `yaml:"fetch-timeout" range:"100ms..10m"`
	// DrainTimeout is how long requests may take that are being served when it is told to end.
	DrainTimeout time.Duration `yaml:"drain-timeout" range:"0s..9s"`
}

// DefaultSettings returns the defaults.
func DefaultSettings() *Settings {
	return &Settings{
		Branch: "main", RequestsMax: 1024, CacheSize: 4 << 30, MemorySize: 64 << 20, TableSize: 256 << 20,
		FetchTimeout: 30 * time.Second, DrainTimeout: 8 * time.Second,
	}
}
