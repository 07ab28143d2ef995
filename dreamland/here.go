package dreamland

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/taucloud/tau/sim/report"
	simrun "github.com/taucloud/tau/sim/run"
)

// A world makes much short-lived garbage and little that stays, so the heap may
// grow to five times what lives. A large one has more to keep: beyond the limit
// the collector runs more often, whatever that costs.
const (
	heapGrowth = 400     // percent
	heapLimit  = 3 << 30 // bytes
)

// tuneRuntime suits the process to a world, unless its environment says how. One
// thing happens at a time in a world: a second thread would only be woken and
// sent to sleep again.
func tuneRuntime() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(heapGrowth)
		debug.SetMemoryLimit(heapLimit)
	}
}

// runHere makes a run in this process. A run that the process cannot leave is
// handed to stuck, and ends it.
func runHere(j job, stuck func(report.Result), reported func(virtual time.Duration, events uint64)) (report.Result, error) {
	tuneRuntime()
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
