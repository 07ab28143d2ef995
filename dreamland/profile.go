package dreamland

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"time"
)

// startProfile begins a CPU profile, if it is given a name.
func startProfile(name string) (stop func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, fmt.Errorf("--profile: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // a profile is for whoever asked for it to look at
	}, nil
}

// heapInterval is the real time between two looks at the heap.
const heapInterval = 3 * time.Second

// startHeapProfile writes a profile of the heap whenever there is more of it than
// ever, if it is given a name. What is in a file at the end is about the most that
// there was: when the run has ended the world is gone already.
func startHeapProfile(name string) (stop func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--heap-profile: %w", err)
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		var most uint64
		for {
			select {
			case <-end:
				return
			case <-time.After(heapInterval):
			}
			var m runtime.MemStats
			if runtime.ReadMemStats(&m); m.HeapAlloc < most+most/16 {
				continue
			}
			most = m.HeapAlloc
			_ = f.Truncate(0)
			_, _ = f.Seek(0, 0)
			_ = pprof.WriteHeapProfile(f)
		}
	}()
	return func() {
		close(end)
		<-ended
		_ = f.Close()
	}, nil
}
