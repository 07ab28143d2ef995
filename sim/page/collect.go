package page

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/tracefile"
)

// The kinds of items. The numbers are known to data.js.
const (
	itemFact = iota
	itemMessage
	itemLog
	itemWorld
	itemBelief
	itemWait
)

// item is something that a page can show.
type item struct {
	at     time.Duration
	kind   int
	node   string
	parent int32 // index of the item that it follows from, -1: none
	// a and b are the service and name of a fact, the type and method of a message,
	// the level and text of a warning, the label of what the world does, the service
	// and what a belief is about, the label of a wait.
	a, b string
	// c are the fields of a fact, the sender of a message, what a belief says.
	c      string
	source string
	took   time.Duration // a message was under way, a wait took
	missed bool
}

const (
	// itemsMax bounds the items of a run that are kept; further messages are left out
	// before, from messagesMax on.
	itemsMax    = 1_500_000
	messagesMax = 1_000_000
	// eventsMax bounds the events whose causes are known.
	eventsMax = 30_000_000
	// waitMin is from when a wait is an item.
	waitMin = 500 * time.Millisecond
	// heldBelief is how a belief says that a node has something to itself.
	heldBelief = "I hold "
)

// collected is what of a trace a page can show.
type collected struct {
	items  []item
	events int
	// left says what was left out.
	left []string
	// of is the item that belongs to an event, or the nearest before it, by event.
	of []int32
	at []time.Duration // of the events
	// peers are the names of nodes by how facts call them.
	peers map[string]string
}

// collect reads the trace of a run.
func collect(run *Run) (*collected, error) {
	c := &collected{of: []int32{-1}, at: []time.Duration{0}, peers: map[string]string{}}
	if run.Trace == nil {
		return c, nil
	}
	r := tracefile.NewReader(run.Trace)
	skipped := 0
	for {
		var l tracefile.Line
		if err := r.Next(&l); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		if !c.add(&l) {
			skipped++
		}
	}
	if skipped > 0 {
		c.left = append(c.left, "what came after the first million messages and facts, but for the most important")
	}
	return c, nil
}

// add takes in a line; it reports whether there was room.
func (c *collected) add(l *tracefile.Line) bool {
	switch l.Kind {
	case tracefile.KindTrace:
		return true
	case tracefile.KindMissed:
		if n := c.itemOf(l.ID); n >= 0 && c.items[n].kind == itemMessage {
			c.items[n].missed = true
		}
		return true
	case tracefile.KindFact:
		if peer := l.Get("peer"); l.Service == "node" && l.Name == "started" && peer != "" {
			defer func() { c.peers[peer] = l.Node }() // this fact says which peer it is
		}
		return c.report(l, item{at: l.At, kind: itemFact, node: l.Node, a: l.Service, b: l.Name, c: c.fieldsText(l.Fields), source: l.Source})
	case tracefile.KindLog:
		return c.report(l, item{at: l.At, kind: itemLog, node: l.Node, a: l.Level, b: l.Name})
	case tracefile.KindState:
		return c.keep(item{at: l.At, kind: itemBelief, node: l.Node, parent: -1, a: l.Service, b: l.About, c: l.Name})
	}
	return c.event(l)
}

// report keeps what was reported in an event; what is caused in its turn follows from
// that.
func (c *collected) report(l *tracefile.Line, it item) bool {
	it.parent = c.itemOf(l.ID)
	if !c.keep(it) {
		return false
	}
	if l.ID > 0 && l.ID < uint64(len(c.of)) {
		c.of[l.ID] = int32(len(c.items) - 1)
	}
	return true
}

// event remembers an event, and keeps it if it is an item.
func (c *collected) event(l *tracefile.Line) bool {
	if l.ID != uint64(len(c.of)) || len(c.of) >= eventsMax {
		return false
	}
	c.events++
	parent := c.itemOf(l.Cause)
	took := time.Duration(0)
	if l.Cause > 0 && l.Cause < uint64(len(c.at)) {
		took = l.At - c.at[l.Cause]
	}
	room := true
	mine := parent
	if it, wanted := eventItem(l, took); wanted {
		it.parent = parent
		if room = it.kind != itemMessage || len(c.items) < messagesMax; room {
			if room = c.keep(it); room {
				mine = int32(len(c.items) - 1)
			}
		}
	}
	c.of = append(c.of, mine)
	c.at = append(c.at, l.At)
	return room
}

// keepsConns are the frames that say nothing of what nodes want from each other.
var keepsConns = []string{"ask", "ack", "credit", "hello", "retire", "drop", "decline", "part"}

func eventItem(l *tracefile.Line, took time.Duration) (it item, wanted bool) {
	switch l.Kind {
	case tracefile.KindWorld:
		return item{at: l.At, kind: itemWorld, b: l.Name}, true
	case tracefile.KindFrame, tracefile.KindResend:
		from, to, _ := strings.Cut(l.Name, ">")
		return item{at: l.At, kind: itemMessage, node: to, a: l.What, b: l.Method, c: from, took: took}, !slices.Contains(keepsConns, l.What)
	case tracefile.KindTimer:
		return item{at: l.At, kind: itemWait, node: l.Node, b: "timer of " + l.Name, took: took}, took >= waitMin
	case tracefile.KindFlush:
		return item{at: l.At, kind: itemWait, node: l.Node, b: "the disk writes", took: took}, took >= waitMin
	}
	return it, false
}

func (c *collected) itemOf(event uint64) int32 {
	if event >= uint64(len(c.of)) {
		return -1
	}
	return c.of[event]
}

func (c *collected) keep(it item) bool {
	if len(c.items) >= itemsMax {
		return false
	}
	c.items = append(c.items, it)
	return true
}

// fieldsText has one field a line, "name=value"; a peer has the name of its node.
func (c *collected) fieldsText(fields []tracefile.Field) string {
	var out strings.Builder
	for i, f := range fields {
		if i > 0 {
			out.WriteByte('\n')
		}
		value := f.Shown()
		if name := c.peers[value]; name != "" && f.Text {
			value = name
		}
		out.WriteString(f.Name + "=" + strings.ReplaceAll(value, "\n", " "))
	}
	return out.String()
}
