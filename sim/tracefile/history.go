package tracefile

import "time"

// Event is an event of a trace, as a History keeps it.
type Event struct {
	ID, Cause            uint64
	At                   time.Duration
	Kind, Node, Name     string
	What, Method, Missed string // Missed: "missed" if the frame was not heard
}

// History keeps the events of a trace by their numbers, and so what caused what.
type History struct {
	events []packed // by number, from 1
	names  []string
	index  map[string]uint32
}

// packed is an event whose texts are numbers, 0 for "".
type packed struct {
	at                             int64
	cause                          uint32
	kind, node, name, what, method uint32
	missed                         bool
}

// historyMax bounds the events that a history keeps, the first ones.
const historyMax = 8 << 20

// NewHistory returns a history of nothing.
func NewHistory() *History {
	return &History{names: []string{""}, index: map[string]uint32{"": 0}}
}

// Add takes in a line; those that are no events only say which frames were missed.
func (h *History) Add(l *Line) {
	switch l.Kind {
	case KindTrace, KindFact, KindLog, KindState:
	case KindMissed:
		if e := h.event(l.ID); e != nil {
			e.missed = true
		}
	default:
		if l.ID != uint64(len(h.events))+1 || len(h.events) >= historyMax {
			return
		}
		h.events = append(h.events, packed{
			at: int64(l.At), cause: uint32(min(l.Cause, l.ID-1)),
			kind: h.number(l.Kind), node: h.number(l.Node), name: h.number(l.Name), what: h.number(l.What), method: h.number(l.Method),
		})
	}
}

func (h *History) number(name string) uint32 {
	n, found := h.index[name]
	if !found {
		n = uint32(len(h.names))
		h.names, h.index[name] = append(h.names, name), n
	}
	return n
}

func (h *History) event(id uint64) *packed {
	if id == 0 || id > uint64(len(h.events)) {
		return nil
	}
	return &h.events[id-1]
}

// Event is the one with that number.
func (h *History) Event(id uint64) (e Event, found bool) {
	p := h.event(id)
	if p == nil {
		return e, false
	}
	e = Event{
		ID: id, Cause: uint64(p.cause), At: time.Duration(p.at), Kind: h.names[p.kind], Node: h.names[p.node],
		Name: h.names[p.name], What: h.names[p.what], Method: h.names[p.method],
	}
	if p.missed {
		e.Missed = KindMissed
	}
	return e, true
}

// Len is how many events are kept.
func (h *History) Len() int { return len(h.events) }

// Chain lists an event and what caused it, and what caused that, back to the first,
// at most max of them, the last first.
func (h *History) Chain(id uint64, max int) (list []Event) {
	for len(list) < max {
		e, found := h.Event(id)
		if !found {
			return list
		}
		list = append(list, e)
		id = e.Cause
	}
	return list
}
