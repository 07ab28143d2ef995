package fault

import (
	"cmp"
	"slices"
	"time"
)

// Timed is a fault with its place in time.
type Timed struct {
	// At is counted from the begin of the plan.
	At time.Duration
	// For is how long the fault lasts; 0 means until the world is healed.
	For   time.Duration
	Fault Fault
}

// Plan is a course of faults whose details are drawn. Equal draws, equal
// courses; the result is in order of time.
type Plan interface {
	Unfold(d Draw) []Timed
}

// Range is a span of durations to draw from.
type Range struct{ Min, Max time.Duration }

func (r Range) draw(d Draw) time.Duration { return d.Between(r.Min, r.Max) }

// stepMin bounds the number of faults that a plan unfolds into.
const stepMin = time.Millisecond

// CrashLoop crashes each of Nodes again and again: it runs for Up, is down for
// Down, until For has passed.
type CrashLoop struct {
	Nodes    []string
	Up, Down Range
	For      time.Duration
}

// Unfold implements Plan.
func (c CrashLoop) Unfold(d Draw) (out []Timed) {
	for _, node := range c.Nodes {
		out = append(out, alternate(d.Fork("loop", node), c.Up, c.Down, c.For,
			func(Draw, time.Duration, time.Duration) Fault { return Crash{Nodes: []string{node}} })...)
	}
	return inOrder(out)
}

// Churn keeps about Count of Nodes failing: in each of Count places, a node is
// drawn after Up, is down for Down, and the next one is drawn, until For has
// passed. No node is in two places at once.
type Churn struct {
	Nodes    []string
	Count    int
	Up, Down Range
	For      time.Duration
	LoseDisk bool
}

// Unfold implements Plan.
func (c Churn) Unfold(d Draw) (out []Timed) {
	type stay struct{ from, to time.Duration }
	down := map[string][]stay{}
	free := func(from, to time.Duration) (list []string) {
		for _, node := range c.Nodes {
			if !slices.ContainsFunc(down[node], func(s stay) bool { return s.from <= to && from <= s.to }) {
				list = append(list, node)
			}
		}
		return list
	}
	for place := range c.Count {
		out = append(out, alternate(d.Fork("churn", place), c.Up, c.Down, c.For,
			func(d Draw, from, to time.Duration) Fault {
				candidates := free(from, to)
				if len(candidates) == 0 {
					return nil
				}
				node := candidates[d.Below(len(candidates))]
				down[node] = append(down[node], stay{from, to})
				return Crash{Nodes: []string{node}, LoseDisk: c.LoseDisk}
			})...)
	}
	return inOrder(out)
}

// alternate makes a fault after each draw of up that lasts a draw of down.
func alternate(d Draw, up, down Range, total time.Duration, make func(d Draw, from, to time.Duration) Fault) (out []Timed) {
	at := time.Duration(0)
	for i := 0; ; i++ {
		at += max(up.draw(d.Fork("up", i)), stepMin)
		if at >= total {
			return out
		}
		length := max(down.draw(d.Fork("down", i)), stepMin)
		if f := make(d.Fork("who", i), at, at+length); f != nil {
			out = append(out, Timed{At: at, For: length, Fault: f})
		}
		at += length
	}
}

// RollingRestart restarts Nodes one after the other, Gap apart, each being down
// for Down (0: as short as it can).
type RollingRestart struct {
	Nodes     []string
	Gap, Down Range
}

// Unfold implements Plan.
func (r RollingRestart) Unfold(d Draw) (out []Timed) {
	at := time.Duration(0)
	for i, node := range r.Nodes {
		one := []string{node}
		if down := r.Down.draw(d.Fork("down", i)); down > 0 {
			out = append(out, Timed{At: at, For: down, Fault: Stop{Nodes: one}})
		} else {
			out = append(out, Timed{At: at, Fault: Restart{Nodes: one}})
		}
		at += r.Gap.draw(d.Fork("gap", i))
	}
	return out
}

// Flaky resets the conns on links again and again, Every apart.
type Flaky struct {
	Pairs
	Every Range
	For   time.Duration
}

// Unfold implements Plan.
func (f Flaky) Unfold(d Draw) (out []Timed) {
	seen := map[[2]string]bool{} // a conn has both directions
	for _, from := range f.From {
		for _, to := range f.To {
			pair := [2]string{min(from, to), max(from, to)}
			if from != to && !seen[pair] {
				seen[pair] = true
				out = append(out, f.unfoldOne(pair, d.Fork("flaky", pair))...)
			}
		}
	}
	return inOrder(out)
}

func (f Flaky) unfoldOne(pair [2]string, d Draw) (out []Timed) {
	at := time.Duration(0)
	for i := 0; ; i++ {
		if at += max(f.Every.draw(d.Fork(i)), stepMin); at >= f.For {
			return out
		}
		out = append(out, Timed{At: at, Fault: Reset{Pairs{From: pair[:1], To: pair[1:], TwoWay: true}}})
	}
}

func inOrder(list []Timed) []Timed {
	slices.SortStableFunc(list, func(a, b Timed) int { return cmp.Compare(a.At, b.At) })
	return list
}
