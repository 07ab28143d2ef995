package explain

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/tracefile"
)

const (
	// hopsMax is how many events lie at most between a fact and what caused it.
	hopsMax = 4000
	// waitMin is from when a wait is a line of its own.
	waitMin = time.Second
	// chainRows is how many lines a chain has before its middle is folded.
	chainRows = 20
	// causesMax bounds the facts of one chain.
	causesMax = 500
)

// link is one line of a chain of causes: a fact, or an event on the way to one.
type link struct {
	at    time.Duration
	event uint64
	fact  int // index of a line, -1: an event, or a fault
	fault string
	// after are what it follows from.
	after []*link
}

// Chain is how it came to something: facts of the object, the messages and waits
// between them, and at the roots what users and faults did.
type Chain struct {
	story *Story
	facts map[int]*link
	hops  map[uint64]*link
}

// byFact is how a violation names the fact at which it was seen.
var byFact = regexp.MustCompile(`\((\S+) (\S+) of (\S+)\)`)

// Chain goes back from the facts that a sentence is about: the one that it names, or
// the last ones of the object on each node that it names and the very last of all. nil
// if there are none.
func (s *Story) Chain(sentence string) *Chain {
	c := &Chain{story: s, facts: map[int]*link{}, hops: map[uint64]*link{}}
	work := s.ends(sentence)
	if len(work) == 0 {
		return nil
	}
	for len(work) > 0 && len(c.facts) < causesMax {
		i := work[0]
		work = work[1:]
		if l := c.fact(i); l.after == nil {
			work = append(work, c.follow(l)...)
		}
	}
	return c
}

// ends are the facts at which the chain ends.
func (s *Story) ends(sentence string) (list []int) {
	last := map[string]int{} // by node
	latest := -1
	named := byFact.FindStringSubmatch(sentence)
	for i := range s.trace.lines {
		l := &s.trace.lines[i]
		if !s.about(l) || l.At > s.end+time.Millisecond { // the end is known to the millisecond
			continue
		}
		if named != nil && l.Service == named[1] && l.Name == named[2] && l.Node == named[3] {
			list = []int{i}
		}
		if l.Service != "client" && l.Service != "node" {
			last[l.Node], latest = i, i
		}
	}
	if len(list) > 0 {
		return list
	}
	for _, word := range words.FindAllString(sentence, -1) {
		if i, found := last[word]; found && !slices.Contains(list, i) {
			list = append(list, i)
		}
	}
	if latest >= 0 && !slices.Contains(list, latest) {
		list = append(list, latest) // what others did since
	}
	return list
}

// LastFact is when a service last reported something of the object, users left out; 0
// if none did.
func (s *Story) LastFact() (at time.Duration) {
	for i := range s.trace.lines {
		if l := &s.trace.lines[i]; s.about(l) && l.Service != "client" && l.Service != "node" {
			at = l.At
		}
	}
	return at
}

func (c *Chain) fact(i int) *link {
	l := c.facts[i]
	if l == nil {
		line := &c.story.trace.lines[i]
		l = &link{at: line.At, event: line.ID, fact: i}
		c.facts[i] = l
	}
	return l
}

// follow finds what a fact follows from, and returns the facts among that.
func (c *Chain) follow(l *link) (found []int) {
	if i := c.before(l.fact); i >= 0 {
		l.after = append(l.after, c.fact(i))
		found = append(found, i)
	}
	hops := c.story.trace.history.Chain(l.event, hopsMax)
	for n, e := range hops {
		if i := c.factIn(e.ID, l.fact); i >= 0 {
			c.join(l, hops[:n], c.fact(i))
			return append(found, i)
		}
		if e.Kind == tracefile.KindWorld {
			root := c.hop(e)
			c.join(l, hops[:n], root)
			return found
		}
		if e.At < c.story.begin-waitMin {
			break
		}
	}
	return found
}

// before is the fact of the object that its node's service had reported before.
func (c *Chain) before(i int) int {
	line := &c.story.trace.lines[i]
	if line.Service == "client" {
		return -1
	}
	for i--; i >= 0; i-- {
		l := &c.story.trace.lines[i]
		if l.Node == line.Node && l.Service == line.Service && c.story.about(l) {
			return i
		}
	}
	return -1
}

// factIn is the last fact of the object in an event, before another one; -1 if there
// is none.
func (c *Chain) factIn(event uint64, before int) int {
	list := c.story.trace.byEvent[event]
	for k := len(list) - 1; k >= 0; k-- {
		if list[k] < before && c.story.about(&c.story.trace.lines[list[k]]) {
			return list[k]
		}
	}
	return -1
}

// join makes the events between a fact and its cause, the last first, a chain.
func (c *Chain) join(l *link, hops []tracefile.Event, cause *link) {
	at := l
	for _, e := range hops {
		if !c.tells(e) {
			continue
		}
		h := c.hop(e)
		if h != at && !slices.Contains(at.after, h) {
			at.after = append(at.after, h)
		}
		at = h
	}
	if at != cause && !slices.Contains(at.after, cause) {
		at.after = append(at.after, cause)
	}
}

func (c *Chain) hop(e tracefile.Event) *link {
	h := c.hops[e.ID]
	if h == nil {
		h = &link{at: e.At, event: e.ID, fact: -1}
		c.hops[e.ID] = h
	}
	return h
}

// tells reports whether an event on the way is worth a line.
func (c *Chain) tells(e tracefile.Event) bool {
	switch e.Kind {
	case tracefile.KindFrame, tracefile.KindResend:
		return !slices.Contains(keepers, e.What)
	case tracefile.KindWorld:
		return true
	case tracefile.KindTimer, tracefile.KindFlush, "dialed":
		return c.waited(e) >= waitMin
	}
	return false
}

func (c *Chain) waited(e tracefile.Event) time.Duration {
	cause, found := c.story.trace.history.Event(e.Cause)
	if !found {
		return 0
	}
	return e.At - cause.At
}

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

// Write prints the chain in order of time. Each line has a number, and at its end
// those of the lines that it follows from, unless that is the one before it.
func (c *Chain) Write(out io.Writer) {
	list := c.inOrder()
	number := map[*link]int{}
	width := 0
	for i, l := range list {
		number[l] = i + 1
		width = max(width, len(c.node(l)))
	}
	fmt.Fprintln(out, "how it came to this: a line follows from the one before it, or from those behind its arrow")
	fold := foldOf(len(list))
	for i, l := range list {
		if i == fold.from && fold.to > fold.from {
			fmt.Fprintf(out, "  %4s ... %d lines (dreamland trace show has them)\n", "", fold.to-fold.from)
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

func foldOf(n int) span {
	if n <= chainRows {
		return span{}
	}
	return span{from: chainRows / 3, to: n - (chainRows - chainRows/3)}
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
		return strings.TrimRight(strings.TrimSpace(line.Service+" "+line.Name+" "+shorten(c.story.text(line)))+"  "+line.Source, " ")
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
	return e.Says()
}

func shorten(text string) string {
	if len(text) > fieldsLenMax {
		return text[:fieldsLenMax] + "..."
	}
	return text
}
