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
	// FunctionsMax is how many requests functions answer at once, all together; each may have the memory of its function and some
	// 200 KiB for bodies.
	FunctionsMax int `yaml:"functions-max" range:"1..100000"`
	// FunctionConcurrency is how many requests one function answers at once, if it does not say so itself.
	FunctionConcurrency int `yaml:"function-concurrency" range:"1..100000"`
	// FunctionQueue is how many more requests of one function wait, for FunctionWait at most; further ones are told to come again.
	FunctionQueue int           `yaml:"function-queue" range:"0..100000"`
	FunctionWait  time.Duration `yaml:"function-wait" range:"0s..1m"`
	// DrainTimeout is how long requests may take that are being served when it is told to end.
	DrainTimeout time.Duration `yaml:"drain-timeout" range:"0s..9s"`
}

// DefaultSettings returns the defaults.
func DefaultSettings() *Settings {
	return &Settings{
		Branch: "main", RequestsMax: 1024, CacheSize: 4 << 30, MemorySize: 64 << 20, TableSize: 256 << 20,
		FunctionsMax: 128, FunctionConcurrency: 32, FunctionQueue: 128, FunctionWait: 5 * time.Second,
		FetchTimeout: 30 * time.Second, DrainTimeout: 8 * time.Second,
	}
}
