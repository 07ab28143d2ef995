package dreamland

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/explain"
	"github.com/taucloud/tau/sim/fault"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

const (
	// explainAuto is --explain without an id: the object of what failed.
	explainAuto = "auto"
	// shortStory is how many lines a story has that nobody asked for.
	shortStory = 15
	// explainWallMax is real time: a run that takes longer is not made again unasked.
	explainWallMax = 30 * time.Second
	// shortChain and longChain are how many lines a chain of causes has before its middle
	// is folded: if nobody asked, and if nobody named the object. Else all are printed.
	shortChain = 20
	longChain  = 60
	// whatIfMax is up to how many faults a run is tried without each of them, the
	// last ones.
	whatIfMax = 12
)

// explainer tells what led to a failure.
type explainer struct {
	job   job
	jobs  int
	about string // an id, explainAuto, or "" if nobody asked
	out   io.Writer
}

// tell makes the run once more, with a trace, unless there is one.
func (e *explainer) tell(r *report.Result) error {
	failed := r.Verdict != report.Held
	if e.about == explainAuto && !failed {
		fmt.Fprintln(e.out, "no story: nothing failed; --explain=ID tells of one job, item, version or node")
		return nil
	}
	if e.about == "" && (!failed || r.WallMS > explainWallMax.Milliseconds()) {
		return nil
	}
	dir, remove, err := tempDir("explain")
	if err != nil {
		return err
	}
	defer remove()
	trace, err := e.trace(dir)
	if err != nil {
		return err
	}
	if err := e.whole(trace); err != nil {
		return err
	}
	id := e.object(trace, r)
	switch {
	case id == "" && e.about == explainAuto:
		fmt.Fprintln(e.out, "no story: what failed names no object that the run has facts of; --explain=ID tells of one, a job, an item, a version or a node")
		return nil
	case id == "":
		return nil // nobody asked
	}
	rows := shortStory
	if e.about != "" {
		rows = 0
	}
	told := e.storyOf(trace, id, r)
	chainRows := 0
	switch e.about {
	case "":
		chainRows = shortChain
	case explainAuto:
		chainRows = longChain
	}
	told.writeAll(e.out, rows, chainRows)
	if failed && e.about != "" {
		err = e.whatIf(r, dir, told.story.Nodes, told.story.LastFact())
	}
	fmt.Fprintln(e.out)
	return err
}

// whole makes an id of the beginning of one.
func (e *explainer) whole(trace *explain.Trace) error {
	if e.about == "" || e.about == explainAuto || trace.Tell(e.about, 0, nil).Known() {
		return nil
	}
	ids := trace.IDs()
	if longer := beginWith(e.about, ids); len(longer) == 1 {
		e.about = longer[0]
		return nil
	}
	return fmt.Errorf("--explain=%s: no fact of this run names it; expected the id of a job, an item or a version, the name of a node, or at least the first %d characters of one; %s",
		e.about, beginningMin, suggestName(e.about, ids))
}

// object is what to tell of, "" if there is nothing.
func (e *explainer) object(trace *explain.Trace, r *report.Result) string {
	if e.about != "" && e.about != explainAuto {
		return e.about
	}
	if r.Verdict == report.Held {
		return ""
	}
	return trace.ObjectOf(strings.Join(r.Broken(), "\n"))
}

// stepsOf are the steps of a run as they were drawn and chosen.
func stepsOf(s *scenario.Scenario, r *report.Result) []scenario.Step {
	return s.Fix(r.Seed, r.Wire, time.Duration(r.VirtualMS+1)*time.Millisecond, r.Chosen).Steps
}

// told is a story with what led to its end.
type told struct {
	story *explain.Story
	chain *explain.Chain
}

func (e *explainer) storyOf(trace *explain.Trace, id string, r *report.Result) told {
	var faults []fault.Fault
	for _, step := range stepsOf(e.job.scenario, r) {
		if step.Fault != nil {
			faults = append(faults, step.Fault)
		}
	}
	t := told{story: trace.Tell(id, time.Duration(r.VirtualMS)*time.Millisecond, faults)}
	if r.Verdict != report.Held {
		t.story.Verdict = strings.Split(r.Broken()[0], "\n")[0]
	}
	t.chain = t.story.Chain(t.story.Verdict)
	return t
}

// writeAll prints the story, at most rows lines of it, and what led to its end, at most chainRows; 0 is all.
func (t told) writeAll(out io.Writer, rows, chainRows int) {
	t.story.Write(out, rows)
	if t.chain != nil {
		t.chain.Write(out, chainRows)
	}
	t.story.WriteBeliefs(out)
	t.story.WriteLosses(out)
}

// traceFile is where the trace of the run is, or will be.
func (e *explainer) traceFile(dir string) string {
	if info, err := os.Stat(e.job.trace); e.job.trace != "" && err == nil && info.Mode().IsRegular() {
		return e.job.trace
	}
	return filepath.Join(dir, "trace.jsonl")
}

// trace reads the trace of the run, which is made once more if it has none.
func (e *explainer) trace(dir string) (*explain.Trace, error) {
	j := e.job
	if file := e.traceFile(dir); file != j.trace {
		j.trace = file
		runInWorker(j)
	}
	f, err := os.Open(j.trace)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return explain.Read(f)
}

// whatIf runs a failed scenario without each of its faults, or, if there are many,
// without each of the last that could concern some nodes.
func (e *explainer) whatIf(r *report.Result, dir string, nodes []string, decided time.Duration) error {
	s := e.job.scenario
	whole := s.Fix(r.Seed, r.Wire, time.Duration(r.VirtualMS+1)*time.Millisecond, r.Chosen)
	whole.Failed = failureOf(r)
	faults, others := suspects(whole.Steps, nodes, decided)
	var jobs []job
	var without []string
	for _, i := range faults {
		x := whole.Steps[i]
		one := *whole
		one.Steps = append(append([]scenario.Step{}, whole.Steps[:i]...), whole.Steps[i+1:]...)
		file := filepath.Join(dir, fmt.Sprintf("without-%d.yaml", len(jobs)))
		if err := os.WriteFile(file, one.Text(), 0o644); err != nil {
			return err
		}
		story, err := scenario.Load(file, words.Vocabulary())
		if err != nil {
			return err
		}
		jobs = append(jobs, job{scenario: story, seed: r.Seed, wire: r.Wire, strict: e.job.strict})
		without = append(without, fmt.Sprintf("%s at %s", x.Fault, x.At.Round(time.Millisecond)))
	}
	if len(jobs) == 0 {
		return nil
	}
	fmt.Fprintln(e.out, "what if")
	if others > 0 {
		defer fmt.Fprintf(e.out, "  %d faults more were not left out: dreamland shrink %s --seed %d finds which of all it takes\n", others, s.File, r.Seed)
	}
	return inParallel(jobs, e.jobs, runInWorker, func(other report.Result) error {
		fmt.Fprintf(e.out, "  without %s: %s\n", without[0], becomes(r, &other))
		without = without[1:]
		return nil
	})
}

// suspects are the faults to leave out, as indices of steps, and how many more there
// are. Of many they are the last that could concern the nodes and began before decided,
// when services had last reported something: what came later did not decide it.
func suspects(steps []scenario.Step, nodes []string, decided time.Duration) (list []int, others int) {
	all := 0
	for i := range steps {
		if f := steps[i].Fault; f != nil {
			all++
			list = append(list, i)
		}
	}
	if all > whatIfMax {
		list = slices.DeleteFunc(list, func(i int) bool { return !fault.Concerns(steps[i].Fault, nodes) })
		if before := slices.DeleteFunc(slices.Clone(list), func(i int) bool { return steps[i].At > decided }); len(before) > 0 {
			list = before
		}
		list = list[max(0, len(list)-whatIfMax):]
	}
	return list, all - len(list)
}

// becomes says what came of a run that was made a little different.
func becomes(was, is *report.Result) string {
	switch {
	case is.Verdict == report.Held:
		return "it holds"
	case sameCause(was, is):
		return "it fails of the same"
	}
	return "it fails of something else: " + strings.Split(is.Broken()[0], "\n")[0]
}
