package explain

import (
	"regexp"
	"slices"
	"time"

	"github.com/taucloud/tau/sim/tracefile"
)

const (
	// hopsMax is how many events lie at most between a fact and what caused it.
	hopsMax = 4000
	// waitMin is from when a wait is a line of its own.
	waitMin = time.Second
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
	for _, word := range nodeWords.FindAllString(sentence, -1) {
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
