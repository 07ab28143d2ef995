package scenario

import (
	"slices"

	"github.com/taucloud/tau/sim/check"
)

// The figures that the runner itself counts.
const (
	FigureNodes      = "nodes"
	FigureFaults     = "faults"
	FigureDone       = "actions.done"
	FigureFailed     = "actions.failed"
	FigureUnfinished = "actions.unfinished"
	FigureHits       = "failpoints.hit"
	FigureRecovery   = "recovery.seconds"
	FigureDisk       = "disk.bytes"
	FigureHeap       = "heap.bytes"
)

var runFigures = []Word{
	{Kind: "figure", Name: FigureNodes, Unit: "nodes", Doc: "nodes of the cloud"},
	{Kind: "figure", Name: FigureFaults, Unit: "faults", Doc: "faults that began"},
	{Kind: "figure", Name: FigureDone, Unit: "actions", Doc: "actions that succeeded"},
	{Kind: "figure", Name: FigureFailed, Unit: "actions", Doc: "actions that ended with an error"},
	{Kind: "figure", Name: FigureUnfinished, Unit: "actions", Doc: "actions that had not ended when the run did"},
	{Kind: "figure", Name: FigureHits, Unit: "times", Doc: "how often a failpoint acted"},
	{Kind: "figure", Name: FigureRecovery, Unit: "seconds", Doc: "from the healing to the moment when everything held"},
	{Kind: "figure", Name: FigureDisk, Unit: "bytes", Doc: "keys and values on the disks of all nodes"},
	{Kind: "figure", Name: FigureHeap, Unit: "bytes", Doc: "the heap of the whole process, after a collection: only measured where it is expected, and not the same everywhere"},
}

// Figures lists the names of all figures that a run may have, in order: a checker
// that has counted nothing yet names them all.
func Figures(v Vocabulary) []string {
	var names []string
	for _, w := range runFigures {
		names = append(names, w.Name)
	}
	for _, c := range v.Checks {
		if counter, ok := c.New().(check.Figures); ok {
			names = append(names, sortedKeys(counter.Figures())...)
		}
	}
	for _, m := range v.Measures {
		names = append(names, m.Name)
	}
	for i := range v.Series {
		names = append(names, v.Series[i].Figures()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// servicesOf are those that a figure is about: of which one must run, or it stays zero. None: any.
func (v *Vocabulary) servicesOf(figure string) (names []string) {
	for i := range v.Series {
		if s := &v.Series[i]; slices.Contains(s.Figures(), figure) && s.Service != "" {
			return []string{s.Service}
		}
	}
	for _, c := range v.Checks {
		if counter, ok := c.New().(check.Figures); ok {
			if _, counts := counter.Figures()[figure]; counts {
				names = append(names, c.Of...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// figureWords documents them.
func figureWords(v Vocabulary) []Word {
	words := slices.Clone(runFigures)
	for i := range words {
		words[i].Example = figureExample(words[i].Name)
	}
	for _, m := range v.Measures {
		words = append(words, Word{Kind: "figure", Name: m.Name, Unit: m.Unit, Doc: m.Doc, Example: figureExample(m.Name)})
	}
	for _, f := range v.Figures {
		words = append(words, Word{Kind: "figure", Name: f.Name, Unit: f.Unit, Doc: f.Doc, Example: figureExample(f.Name)})
	}
	for i := range v.Series {
		words = append(words, v.Series[i].words()...)
	}
	for _, name := range Figures(v) {
		if !slices.ContainsFunc(words, func(w Word) bool { return w.Name == name }) {
			words = append(words, Word{Kind: "figure", Name: name, Example: figureExample(name), Doc: "counted by the checks of " + owners(v, name)})
		}
	}
	return words
}

func figureExample(name string) string {
	return "expect: {report: {" + name + ": {min: 1, max: 1000000}}}"
}

// owners names the checks that count a figure.
func owners(v Vocabulary, figure string) string {
	var names []string
	for _, c := range v.Checks {
		if counter, ok := c.New().(check.Figures); ok {
			if _, has := counter.Figures()[figure]; has {
				names = append(names, c.Name)
			}
		}
	}
	return list(names)
}
