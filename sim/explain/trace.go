// Package explain tells the story of one object of a run - a job, an item, a version, a node - from
// its trace: the reported facts, the faults between, and which nodes had received something from
// each other when it went wrong. It knows no service: an object is whatever the fields of facts
// name.
package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/tracefile"
)

// Trace is the part of a trace that stories are made from.
type Trace struct {
	lines []tracefile.Line // facts, warnings and decisions of the world, in order
	// heard is when a node received something from another one, the last of each second.
	heard map[[2]string][]time.Duration
	// peers maps peers, as in facts, to the names of nodes.
	peers map[string]string
	nodes map[string]bool
	// beliefs are the last ones, by node, service and what they are about.
	beliefs map[[3]string]believed
	missed  []missed
	history *tracefile.History
	byEvent map[uint64][]int // facts, as indices of lines
	// undo removes the entry of heard that was added last.
	undo func()
}

// believed is what a service says since when.
type believed struct {
	says  string
	since time.Duration
}

// missed is a frame that was not heard.
type missed struct {
	at             time.Duration
	from, to, what string
}

// linesMax bounds the facts and decisions that are kept, the first ones, and the
// frames that were missed.
const linesMax = 2_000_000

// Read reads a trace as dreamland sim --trace writes it.
func Read(in io.Reader) (*Trace, error) {
	t := &Trace{
		heard: map[[2]string][]time.Duration{}, peers: map[string]string{}, nodes: map[string]bool{}, beliefs: map[[3]string]believed{},
		history: tracefile.NewHistory(), byEvent: map[uint64][]int{}, undo: func() {},
	}
	r := tracefile.NewReader(in)
	for {
		var l tracefile.Line
		if err := r.Next(&l); err == io.EOF {
			return t, nil
		} else if err != nil {
			return nil, fmt.Errorf("explain: %w", err)
		}
		t.add(l)
	}
}

func (t *Trace) add(l tracefile.Line) {
	t.history.Add(&l)
	if l.Node != "" {
		t.nodes[l.Node] = true
	}
	switch l.Kind {
	case tracefile.KindMissed: // what has just come waits, as its link is cut, or is lost
		t.undo()
		t.miss(&l)
	case tracefile.KindFrame, tracefile.KindResend:
		from, to, _ := strings.Cut(l.Name, ">")
		t.hear(from, to, l.At)
	case tracefile.KindState:
		t.beliefs[[3]string{l.Node, l.Service, l.About}] = believed{l.Name, l.At}
	case tracefile.KindFact, tracefile.KindLog, tracefile.KindWorld:
		if peer := l.Get("peer"); l.Service == "node" && l.Name == "started" && peer != "" {
			t.peers[peer] = l.Node
		}
		if len(t.lines) >= linesMax {
			return
		}
		if l.Kind == tracefile.KindFact {
			t.byEvent[l.ID] = append(t.byEvent[l.ID], len(t.lines))
		}
		t.lines = append(t.lines, l)
	}
}

func (t *Trace) miss(l *tracefile.Line) {
	e, found := t.history.Event(l.ID)
	if !found || len(t.missed) >= linesMax || slices.Contains(keepers, e.What) {
		return
	}
	from, to, _ := strings.Cut(l.Name, ">")
	t.missed = append(t.missed, missed{at: l.At, from: from, to: to, what: strings.TrimSpace(e.What + " " + e.Method)})
}

// keepers are frames that only keep a conn going.
var keepers = []string{"ask", "ack", "credit", "hello", "retire", "drop", "decline"}

// hear keeps one moment for each second, the last.
func (t *Trace) hear(from, to string, at time.Duration) {
	pair := [2]string{from, to}
	list := t.heard[pair]
	if n := len(list); n > 0 && list[n-1]/time.Second == at/time.Second {
		before := list[n-1]
		list[n-1] = at
		t.undo = func() { list[n-1] = before }
		return
	}
	t.heard[pair] = append(list, at)
	t.undo = func() { t.heard[pair] = list }
}
