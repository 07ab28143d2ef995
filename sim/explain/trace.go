// Package explain tells the story of one object of a run - a job, an item, a
// version, a node - from its trace: what was reported of it where, the faults
// between, and who had heard from whom when it went wrong. It knows no service: an
// object is whatever the fields of facts name.
package explain

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// line is one fact, warning or decision of the world.
type line struct {
	at                  time.Duration
	kind                string // "fact", "log" or "world"
	node, service, name string
	fields              []field
}

type field struct{ name, value string }

// get is the value of a field, "" if there is none.
func (l *line) get(name string) string {
	for _, f := range l.fields {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// Trace is what of a trace stories are told from.
type Trace struct {
	lines []line
	// heard is when a node got something from another one, the last of each second.
	heard map[[2]string][]time.Duration
	// peers are the names of nodes by what facts call them.
	peers map[string]string
	// undo takes back what was heard last.
	undo func()
}

// linesMax bounds the facts and decisions that are kept, the first ones.
const linesMax = 2_000_000

// Read reads a trace as dreamland sim --trace writes it. Lines that it does not
// know are skipped; the error is that of a line that is no JSON.
func Read(r io.Reader) (*Trace, error) {
	t := &Trace{heard: map[[2]string][]time.Duration{}, peers: map[string]string{}, undo: func() {}}
	in := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		text, err := in.ReadString('\n')
		if text != "" {
			if err := t.add(text); err != nil {
				return nil, fmt.Errorf("explain: line %d of the trace: %w", n, err)
			}
		}
		if err == io.EOF {
			return t, nil
		} else if err != nil {
			return nil, fmt.Errorf("explain: %w", err)
		}
	}
}

func (t *Trace) add(text string) error {
	kind := between(text, `"k":"`, `"`)
	switch kind {
	case "missed": // what has just come waits, as its link is cut, or is lost
		t.undo()
		return nil
	case "frame", "resend":
		var at int64
		if _, err := fmt.Sscanf(text, `{"t":%d,`, &at); err != nil {
			return err
		}
		from, to, _ := strings.Cut(between(text, `"l":"`, `"`), ">")
		t.hear(from, to, time.Duration(at))
		return nil
	case "fact", "log", "world":
	default:
		return nil
	}
	l, err := parse(text)
	if peer := l.get("peer"); l.service == "node" && l.name == "started" && peer != "" {
		t.peers[peer] = l.node
	}
	if err == nil && len(t.lines) < linesMax {
		t.lines = append(t.lines, l)
	}
	return err
}

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

func between(text, before, after string) string {
	_, rest, found := strings.Cut(text, before)
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(rest, after)
	return value
}

// parse keeps the order of fields, which a map would not.
func parse(text string) (l line, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return l, err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return l, err
		}
		value, err := d.Token()
		if err != nil {
			return l, err
		}
		l.set(fmt.Sprint(key), fmt.Sprint(value))
	}
	return l, nil
}

// set: the first fields of a line are its own, those after them the fact's.
func (l *line) set(key, value string) {
	own := map[string]*string{"k": &l.kind, "n": &l.node, "s": &l.service, "f": &l.name, "l": &l.name, "msg": &l.name}
	at, known := own[key]
	switch {
	case key == "t" && l.kind == "":
		var n int64
		_, _ = fmt.Sscan(value, &n) // no number is the moment 0
		l.at = time.Duration(n)
	case known && *at == "" && !(l.kind == "fact" && l.name != ""):
		*at = value
	default:
		l.fields = append(l.fields, field{key, value})
	}
}
