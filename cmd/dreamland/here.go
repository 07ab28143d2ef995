package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/taucloud/tau/scenarios/words"
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

// runHere makes a run in this process.
func runHere(j job, progress *progress) (report.Result, error) {
	tuneRuntime()
	options := simrun.Options{Seed: j.seed, Wire: j.wire, Strict: j.strict, Perturb: j.perturb}
	trace, err := openTrace(j.trace)
	if err != nil {
		return report.Result{}, err
	}
	if trace != nil {
		options.Trace = trace
	}
	stop := progress.watch(&options, j.scenario.Duration)
	result := simrun.Run(j.scenario, words.Vocabulary(), options)
	stop()
	if trace != nil {
		if err := trace.close(); err != nil {
			return result, fmt.Errorf("--trace: %w", err)
		}
	}
	return result, nil
}

// traceFile is a buffered file.
type traceFile struct {
	*bufio.Writer
	file *os.File
}

// openTrace returns nil for no name.
func openTrace(name string) (*traceFile, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--trace: %w", err)
	}
	return &traceFile{Writer: bufio.NewWriterSize(f, 1<<20), file: f}, nil
}

func (t *traceFile) close() error {
	if err := t.Flush(); err != nil {
		return err
	}
	return t.file.Close()
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
