package dreamland

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/taucloud/tau/sim/page"
	"github.com/taucloud/tau/sim/report"
)

const (
	// besideTries is how many seeds next to one that failed are tried for one that
	// holds, two at once, for as much real time as the run itself took, or besideWall
	// if that is more.
	besideTries = 8
	besideWall  = 5 * time.Second
)

// htmlWriter writes the page of a run.
type htmlWriter struct {
	job   job
	about string // as of an explainer
	file  string
	jobs  int
}

// write makes the page; the job has a trace, or the run is made once more with one. A
// run that failed has beside it the one with the nearest seed that held, if there is
// one and it is quick.
func (h *htmlWriter) write(r *report.Result) error {
	dir, remove, err := tempDir("html")
	if err != nil {
		return err
	}
	defer remove()
	var files []*os.File
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	runs := make([]page.Run, 0, 2)
	add := func(e explainer, r *report.Result) error {
		run, f, err := e.pageRun(dir, r)
		if err == nil {
			runs, files = append(runs, run), append(files, f)
		}
		return err
	}
	if err := add(explainer{job: h.job, about: h.about}, r); err != nil {
		return err
	}
	if other, j := h.beside(r, filepath.Join(dir, "beside.jsonl")); other != nil {
		if err := add(explainer{job: j, about: h.about}, other); err != nil {
			return err
		}
	}
	return writeFile(h.file, func(out *bufio.Writer) error { return page.Write(out, runs, page.SizeMax) })
}

// beside is the run with the nearest seed that holds, nil if there is none.
func (h *htmlWriter) beside(r *report.Result, trace string) (*report.Result, job) {
	j := h.job
	if r.Verdict == report.Held {
		return nil, j
	}
	j.trace = trace
	began := time.Now()
	wall := max(besideWall, time.Duration(r.WallMS)*time.Millisecond)
	for k := uint64(1); k <= besideTries/2; k++ {
		if time.Since(began)+time.Duration(r.WallMS)*time.Millisecond > wall {
			break
		}
		pair := []job{j, j}
		pair[0].seed, pair[1].seed = r.Seed+k, r.Seed-k
		pair[1].trace += ".less"
		var held *report.Result
		var its job
		_ = inParallel(pair, h.jobs, runInWorker, func(other report.Result) error {
			if held == nil && other.Verdict == report.Held {
				held, its = &other, pair[0]
			}
			pair = pair[1:]
			return nil
		})
		if held != nil {
			return held, its
		}
	}
	return nil, j
}

// pageRun is a run as a page shows it, with the open trace.
func (e *explainer) pageRun(dir string, r *report.Result) (page.Run, *os.File, error) {
	s := e.job.scenario
	run := page.Run{Result: *r}
	for _, n := range s.Nodes {
		node := page.Node{Name: n.Name}
		for _, c := range n.Services {
			node.Services = append(node.Services, c.Spec.Name)
		}
		run.Nodes = append(run.Nodes, node)
	}
	for _, step := range stepsOf(s, r) {
		if step.Fault != nil {
			run.Faults = append(run.Faults, page.Fault{At: step.At, For: step.For, Fault: step.Fault})
		}
	}
	if end := time.Duration(r.VirtualMS) * time.Millisecond; end > s.Duration {
		run.HealedAt = s.Duration
	}
	trace, err := e.trace(dir)
	if err != nil {
		return run, nil, err
	}
	_ = e.whole(trace) // the run beside it may have nothing of that name
	if run.Object = e.object(trace, r); run.Object != "" {
		var text bytes.Buffer
		e.out = &text
		e.storyOf(trace, run.Object, r).writeAll(&text, 0, longChain)
		run.Story = text.String()
	}
	f, err := os.Open(e.traceFile(dir))
	run.Trace = f
	return run, f, err
}

// writeFile writes a file whole or reports why not.
func writeFile(name string, write func(out *bufio.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	out := bufio.NewWriter(f)
	err = write(out)
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	return nil
}
