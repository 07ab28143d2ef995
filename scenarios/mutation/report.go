package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// report is what a run found.
type report struct {
	mutations   map[string]*mutation // by key
	results     []result
	equivalents []*mutation
	stale       []equivalent
	unfit       map[string]string
}

func (r *report) noticed() (n int) {
	for _, one := range r.results {
		if one.Noticed {
			n++
		}
	}
	return n
}

// score is the share of mutants that were noticed; 1 of none.
func score(noticed, all int) float64 {
	if all == 0 {
		return 1
	}
	return float64(noticed) / float64(all)
}

// print writes the report for people. Its last line is for scripts as well.
func (r *report) print(w io.Writer, root string) {
	r.survivors(w, root)
	r.packages(w)
	for _, e := range r.stale {
		fmt.Fprintf(w, "set aside and not there any more: %s %s %s %q %d\n", e.File, e.Function, e.Rule, e.Text, e.Nth)
	}
	for _, name := range sorted(r.unfit) {
		fmt.Fprintf(w, "no witness, it fails without a mutant: %s: %s\n", name, r.unfit[name])
	}
	fmt.Fprintln(w, r.last())
}

func (r *report) last() string {
	n, all := r.noticed(), len(r.results)
	return fmt.Sprintf("mutation score %.2f (%d of %d noticed, %d equivalent set aside)", score(n, all), n, all, len(r.equivalents))
}

// survivors prints the mutants that nothing noticed, with the lines they change.
func (r *report) survivors(w io.Writer, root string) {
	for _, one := range r.results {
		if one.Noticed {
			continue
		}
		how := fmt.Sprintf("%d runs", one.Trials)
		if !one.Reached {
			how = "reached by nothing"
		}
		m := r.mutations[one.key()]
		fmt.Fprintf(w, "survivor %s  %s:%d  %s  %s  (%s, %.1fs)\n", one.Name, one.File, m.line, one.Function, one.Rule, how, one.Seconds)
		before, after := m.diff(root)
		fmt.Fprintf(w, "  - %s\n  + %s\n", before, after)
	}
}

// diff is the first line that a mutant changes, before and after.
func (m *mutation) diff(root string) (before, after string) {
	text, err := os.ReadFile(root + "/" + m.File)
	if err != nil || m.end > len(text) {
		return m.Text, m.with
	}
	from := strings.LastIndexByte(string(text[:m.start]), '\n') + 1
	to := len(text)
	if i := strings.IndexByte(string(text[m.end:]), '\n'); i >= 0 {
		to = m.end + i
	}
	flat := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	after = flat(string(text[from:m.start]) + m.with + string(text[m.end:to]))
	return flat(string(text[from:to])), cmp.Or(after, "(nothing)")
}

// packages prints the score of each package, worst first.
func (r *report) packages(w io.Writer) {
	type row struct {
		noticed, all, unreached int
		seconds                 float64
	}
	rows := map[string]*row{}
	for _, one := range r.results {
		p := rows[one.folder()]
		if p == nil {
			p = &row{}
			rows[one.folder()] = p
		}
		p.all, p.seconds = p.all+1, p.seconds+one.Seconds
		if one.Noticed {
			p.noticed++
		}
		if !one.Reached {
			p.unreached++
		}
	}
	names := sorted(rows)
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(score(rows[a].noticed, rows[a].all), score(rows[b].noticed, rows[b].all))
	})
	fmt.Fprintf(w, "%-32s %6s %8s %6s %10s %10s\n", "package", "score", "noticed", "of", "unreached", "s/mutant")
	for _, name := range names {
		p := rows[name]
		fmt.Fprintf(w, "%-32s %6.2f %8d %6d %10d %10.1f\n", name, score(p.noticed, p.all), p.noticed, p.all, p.unreached, p.seconds/float64(p.all))
	}
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// printJSON writes one line for each mutant and one for all.
func (r *report) printJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	for _, one := range r.results {
		if err := enc.Encode(one); err != nil {
			return err
		}
	}
	n, all := r.noticed(), len(r.results)
	return enc.Encode(map[string]any{"score": score(n, all), "noticed": n, "of": all, "equivalent": len(r.equivalents), "unfit": r.unfit})
}

// progress is one line on a terminal, which is written over.
type progress struct {
	to    io.Writer // nil: none
	began time.Time
}

func newProgress(f *os.File) *progress {
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progress{}
	}
	return &progress{f, time.Now()}
}

func (p *progress) show(format string, args ...any) {
	if p.to != nil {
		fmt.Fprintf(p.to, "\r\x1b[K%s  %s", time.Since(p.began).Round(time.Second), fmt.Sprintf(format, args...))
	}
}

func (p *progress) end() {
	if p.to != nil {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}
