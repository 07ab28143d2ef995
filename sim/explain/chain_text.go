package explain

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/tracefile"
)

// inOrder are all lines of the chain in order of time, with the faults between them.
func (c *Chain) inOrder() (list []*link) {
	for _, l := range c.facts {
		list = append(list, l)
	}
	for _, l := range c.hops {
		list = append(list, l)
	}
	for i := range c.story.rows {
		if r := &c.story.rows[i]; r.fault && c.hops[r.ID] == nil {
			list = append(list, &link{at: r.At, event: r.ID, fact: -1, fault: r.Name})
		}
	}
	slices.SortFunc(list, func(a, b *link) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.event, b.event), cmp.Compare(a.fact, b.fact))
	})
	return list
}

// Write prints the chain in order of time, at most rowsMax lines of it, the first and the
// last ones; 0 is all. Each line has a number, and at its end those of the lines that it follows
// from, unless that is the one before it.
func (c *Chain) Write(out io.Writer, rowsMax int) {
	list := c.inOrder()
	number := map[*link]int{}
	width := 0
	for i, l := range list {
		number[l] = i + 1
		width = max(width, len(c.node(l)))
	}
	fmt.Fprintln(out, "how it came to this: a line follows from the one before it, or from those behind its arrow")
	fold := foldOf(len(list), rowsMax)
	for i, l := range list {
		if i == fold.from && fold.to > fold.from {
			fmt.Fprintf(out, "  %4s ... %d lines of %d are left out (--explain=%s prints all)\n", "", fold.to-fold.from, len(list), c.story.Object)
		}
		if i >= fold.from && i < fold.to {
			continue
		}
		text := fmt.Sprintf("  %3d  %-10s %-*s  %s", i+1, l.at.Round(time.Millisecond), width, c.node(l), c.text(l))
		if len(l.after) != 1 || number[l.after[0]] != i {
			text += after(l, number)
		}
		fmt.Fprintln(out, strings.TrimRight(text, " "))
	}
}

// span is the part of a list that is folded.
type span struct{ from, to int }

func foldOf(n, rowsMax int) span {
	if rowsMax == 0 || n <= rowsMax {
		return span{}
	}
	return span{from: rowsMax / 3, to: n - (rowsMax - rowsMax/3)}
}

func after(l *link, number map[*link]int) string {
	var from []string
	for _, a := range l.after {
		from = append(from, fmt.Sprintf("%d", number[a]))
	}
	if len(from) == 0 {
		return ""
	}
	return "  <- " + strings.Join(from, ", ")
}

func (c *Chain) node(l *link) string {
	if l.fact >= 0 {
		return c.story.trace.lines[l.fact].Node
	}
	if l.fault != "" {
		return ""
	}
	e, _ := c.story.trace.history.Event(l.event)
	return e.Node
}

func (c *Chain) text(l *link) string {
	if l.fact >= 0 {
		line := &c.story.trace.lines[l.fact]
		return strings.TrimRight(strings.TrimSpace(line.Service+" "+line.Name+" "+c.story.text(line))+"  "+line.Source, " ")
	}
	if l.fault != "" {
		return "FAULT " + l.fault
	}
	e, _ := c.story.trace.history.Event(l.event)
	if e.Kind != tracefile.KindFrame && e.Kind != tracefile.KindResend && e.Kind != tracefile.KindWorld {
		return fmt.Sprintf("%s, after %s", e.Says(), c.waited(e).Round(time.Millisecond))
	}
	if cause, found := c.story.trace.history.Event(e.Cause); found && e.Kind != tracefile.KindWorld && e.At-cause.At >= waitMin {
		return fmt.Sprintf("%s, sent %s before", e.Says(), (e.At - cause.At).Round(time.Millisecond))
	}
	return e.Says() + c.crashedBy(e)
}

// crashedBy names the failpoint that crashed the node that an event of the world keeps down, ""
// for other events.
func (c *Chain) crashedBy(e tracefile.Event) (text string) {
	node, keeps := strings.CutPrefix(e.Name, "keep down ")
	if !keeps || e.Kind != tracefile.KindWorld {
		return ""
	}
	for i := range c.story.trace.lines {
		l := &c.story.trace.lines[i]
		if l.At > e.At {
			break
		}
		if l.Kind == tracefile.KindFact && l.Name == failpointActs && l.Node == node {
			text = ", which failpoint " + l.Get("point") + " has crashed"
		}
	}
	return text
}
