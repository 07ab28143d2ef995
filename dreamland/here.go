package dreamland

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/taucloud/tau/sim/report"
	simrun "github.com/taucloud/tau/sim/run"
)

// A world makes much short-lived garbage and little that stays, so the heap may
// grow to five times what lives. A large one has more to keep: beyond the limit
// the collector runs more often, whatever that costs.
const (
	heapGrowth = 400        // percent
	heapLimit  = 3600 << 20 // bytes; a process is to stay below 4 GB
)

// collectorHeap is how much must live before the collector gets a thread of its
// own, in bytes. With 1,000 nodes and 10,000 items it needs a tenth of the time.
const collectorHeap = 256 << 20

// tuneRuntime suits the process to a world, unless its environment says how. One
// thing happens at a time in a world: a second thread would only be woken and
// sent to sleep again, until there is much to collect.
func tuneRuntime() (stop func()) {
	stop = func() {}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
		stop = giveCollectorThread(time.Second, collectorHeap)
	}
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(heapGrowth)
		debug.SetMemoryLimit(heapLimit)
	}
	return stop
}

// giveCollectorThread makes it two threads once so many bytes of heap live, which it
// looks at once an interval of real time. No run depends on how many there are.
func giveCollectorThread(interval time.Duration, heap uint64) (stop func()) {
	end := make(chan struct{})
	go func() {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for {
			select {
			case <-end:
				return
			case <-time.After(interval):
			}
			if metrics.Read(live); live[0].Value.Uint64() >= heap {
				runtime.GOMAXPROCS(min(2, runtime.NumCPU()))
				return
			}
		}
	}()
	return func() { close(end) }
}

// runHere makes a run in this process. A run that the process cannot leave is
// handed to stuck, and ends it.
func runHere(j job, stuck func(report.Result), reported func(virtual time.Duration, events uint64)) (report.Result, error) {
	defer tuneRuntime()()
	options := simrun.Options{Seed: j.seed, Wire: j.wire, Strict: j.strict, Perturb: j.perturb, StallTimeout: j.stall, Progress: reported}
	trace, err := openTrace(j.trace)
	if err != nil {
		return report.Result{}, err
	}
	if trace != nil {
		options.Trace = trace
	}
	options.Stuck = func(r report.Result) {
		if trace != nil {
			_ = trace.close() // the run has failed anyway
		}
		r.Revision = readVersion().revision()
		stuck(r)
		os.Exit(exitFailed)
	}
	result := simrun.Run(j.scenario, words.Vocabulary(), options)
	result.Revision = readVersion().revision()
	if trace != nil {
		if err := trace.close(); err != nil {
			return result, fmt.Errorf("--trace: %w", err)
		}
	}
	return result, nil
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
