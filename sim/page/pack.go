package page

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/report"
)

// packedRun is a run as data.js reads it. Texts are numbers in Strings, times are
// microseconds, columns have one value for each item.
type packedRun struct {
	Result report.Result `json:"result"`
	// Seed again, as a text that no reader rounds.
	Seed     string   `json:"seed"`
	End      int64    `json:"end"`
	HealedAt int64    `json:"healed"`
	Object   string   `json:"object"`
	Story    string   `json:"story"`
	Events   int      `json:"events"`
	Left     []string `json:"left"`
	Nodes    []Node   `json:"nodes"`
	Strings  []string `json:"strings"`
	// Bands have five numbers each: node, from, to, kind, label.
	Bands []int64 `json:"bands"`
	Items columns `json:"items"`
}

// columns are the items. T counts from the item before, Parent back from the item
// itself, 0 for none.
type columns struct {
	T      []int64 `json:"t"`
	Kind   []uint8 `json:"k"`
	Node   []int32 `json:"n"`
	Parent []int32 `json:"p"`
	A      []int32 `json:"a"`
	B      []int32 `json:"b"`
	C      []int32 `json:"c"`
	Source []int32 `json:"s"`
	Took   []int64 `json:"d"`
	Missed []int32 `json:"m"` // the numbers of the items that were missed
}

// The levels of what is left out, each with all before it.
const (
	leaveNothing = iota
	leaveLongValues
	leaveIdleMessages
	leaveMessages
	leaveAudits
	leaveBeliefs
	leaveOldest // and from here on more and more
	levelsMax   = leaveOldest + 20
)

var levelTexts = map[int]string{
	leaveLongValues:   "what is longer than 60 characters of a field",
	leaveIdleMessages: "messages that no fact follows from",
	leaveMessages:     "all messages",
	leaveAudits:       "what the users who ask all the time were told",
	leaveBeliefs:      "what services believed",
}

const shortValue = 60

// pack makes a run small enough.
func pack(run *Run, c *collected, sizeMax int) *packedRun {
	for level := leaveNothing; ; level++ {
		p := packAt(run, c, level)
		if raw, err := json.Marshal(p); err != nil || len(raw) <= sizeMax-ownLen() || level == levelsMax {
			return p
		}
	}
}

// ownLen is an upper bound of what a page has beside its data.
func ownLen() int {
	style, script, err := ownCode()
	if err != nil {
		return 0 // Write reports it
	}
	return len(style) + len(script) + 8<<10
}

type packer struct {
	run     *packedRun
	numbers map[string]int32
}

func packAt(run *Run, c *collected, level int) *packedRun {
	p := packer{run: &packedRun{
		Result: run.Result, Seed: strconv.FormatUint(run.Result.Seed, 10), End: run.Result.VirtualMS * 1000, HealedAt: run.HealedAt.Microseconds(),
		Object: run.Object, Story: run.Story, Events: c.events, Left: append([]string{}, c.left...), Nodes: run.Nodes, Strings: []string{""},
	}, numbers: map[string]int32{"": 0}}
	keep, useful := p.wanted(c, level)
	for _, b := range bands(run, c) {
		p.run.Bands = append(p.run.Bands, int64(p.number(b.node)), b.from.Microseconds(), b.to.Microseconds(), int64(p.number(b.kind)), int64(p.number(b.label)))
	}
	index := make([]int32, len(c.items)) // of what stands for an item: itself, or what it follows from
	last := int64(0)
	for i := range c.items {
		it := &c.items[i]
		parent := int32(-1)
		if it.parent >= 0 {
			parent = index[it.parent]
		}
		if index[i] = parent; i < keep || !useful(i) {
			continue
		}
		index[i] = int32(len(p.run.Items.T))
		at := it.at.Microseconds()
		p.add(it, at-last, parent, level)
		last = at
	}
	for l := leaveLongValues; l <= level && l < leaveOldest; l++ {
		p.run.Left = append(p.run.Left, levelTexts[l])
	}
	if keep > 0 {
		p.run.Left = append(p.run.Left, fmt.Sprintf("everything before %s", c.items[keep].at.Round(time.Millisecond)))
	}
	return p.run
}

// wanted says from which item on things are kept at a level, and which.
func (p *packer) wanted(c *collected, level int) (from int, useful func(i int) bool) {
	if level > leaveOldest {
		from = len(c.items) - len(c.items)>>(level-leaveOldest)
		from = min(from, max(0, len(c.items)-1))
	}
	var led []bool // to a fact
	if level == leaveIdleMessages {
		led = make([]bool, len(c.items))
		for i := len(c.items) - 1; i >= 0; i-- {
			it := &c.items[i]
			led[i] = led[i] || it.kind == itemFact && it.a != "client" || it.kind == itemLog
			if led[i] && it.parent >= 0 {
				led[it.parent] = true
			}
		}
	}
	return from, func(i int) bool {
		switch it := &c.items[i]; it.kind {
		case itemMessage, itemWait:
			return level < leaveMessages && (led == nil || led[i])
		case itemFact:
			return level < leaveAudits || it.a != "client"
		case itemBelief:
			return level < leaveBeliefs
		}
		return true
	}
}

func (p *packer) add(it *item, since int64, parent int32, level int) {
	c := &p.run.Items
	n := int32(len(c.T))
	back := int32(0)
	if parent >= 0 {
		back = n - parent
	}
	text := it.c
	if level >= leaveLongValues && it.kind == itemFact {
		text = shortened(text)
	}
	c.T = append(c.T, since)
	c.Kind = append(c.Kind, uint8(it.kind))
	c.Node = append(c.Node, p.number(it.node))
	c.Parent = append(c.Parent, back)
	c.A = append(c.A, p.number(it.a))
	c.B = append(c.B, p.number(it.b))
	c.C = append(c.C, p.number(text))
	c.Source = append(c.Source, p.number(it.source))
	c.Took = append(c.Took, it.took.Microseconds())
	if it.missed {
		c.Missed = append(c.Missed, n)
	}
}

func (p *packer) number(text string) int32 {
	n, known := p.numbers[text]
	if !known {
		n = int32(len(p.run.Strings))
		p.numbers[text] = n
		p.run.Strings = append(p.run.Strings, text)
	}
	return n
}

// shortened cuts long values of fields.
func shortened(fields string) string {
	lines := strings.Split(fields, "\n")
	for i, l := range lines {
		if name, value, _ := strings.Cut(l, "="); len(value) > shortValue {
			lines[i] = name + "=" + value[:shortValue] + "..."
		}
	}
	return strings.Join(lines, "\n")
}
