package fault

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/node/fail"
)

// Skew makes wall clocks jump by By, in addition to their present error. When the fault ends they
// jump back; the healing of the world leaves them.
type Skew struct {
	Nodes []string
	By    time.Duration
	// Stays is true for a fault without a duration.
	Stays bool
}

// Begin implements Fault.
func (s Skew) Begin(l *Ledger) func() {
	l.addSkew(s.Nodes, s.By)
	for _, node := range s.Nodes {
		l.watchNode(node, func(e Effects) uint64 { return e.WallReads })
	}
	if s.Stays {
		return nil
	}
	return func() { l.addSkew(s.Nodes, -s.By) }
}

func (s Skew) String() string { return fmt.Sprintf("skew %s by %s", names(s.Nodes), s.By) }

func (l *Ledger) addSkew(nodes []string, by time.Duration) {
	for _, node := range nodes {
		o := l.skews[node]
		o.skew += int64(by)
		l.skews[node] = o
		l.target.SetSkew(node, time.Duration(o.skew))
	}
}

// Drift makes clocks run fast or slow, in parts per million; drifts of the
// same node add up.
type Drift struct {
	Nodes []string
	PPM   int64
}

// Begin implements Fault.
func (d Drift) Begin(l *Ledger) func() {
	l.addDrift(d.Nodes, d.PPM)
	for _, node := range d.Nodes {
		l.watchNode(node, func(e Effects) uint64 { return e.WallReads + e.ElapsedReads })
	}
	return func() { l.addDrift(d.Nodes, -d.PPM) }
}

func (d Drift) String() string { return fmt.Sprintf("drift %s by %d ppm", names(d.Nodes), d.PPM) }

func (l *Ledger) addDrift(nodes []string, ppm int64) {
	for _, node := range nodes {
		o := l.skews[node]
		o.drift += ppm
		l.skews[node] = o
		l.target.SetDrift(node, o.drift)
	}
}

// Disk makes disks slow, full, failing or lying. Where several such faults
// meet, the worst of each part counts.
type Disk struct {
	Nodes     []string
	Condition Condition
}

// Begin implements Fault.
func (d Disk) Begin(l *Ledger) func() {
	var e ends
	for _, node := range d.Nodes {
		e = append(e, l.disks.begin(node, d.Condition))
		l.watchNode(node, d.Condition.effects)
	}
	return e.all
}

// effects counts the effects of a condition.
func (c Condition) effects(e Effects) (n uint64) {
	if c.SyncMax > 0 {
		n += e.SlowSyncs
	}
	if c.Full {
		n += e.Refused
	}
	if c.ErrorProbability > 0 {
		n += e.Failed
	}
	if c.CorruptProbability > 0 {
		n += e.CorruptReads
	}
	if c.LossProbability > 0 {
		n += e.Lost
	}
	if c.MisdirectProbability > 0 {
		n += e.Misdirected
	}
	if c.SyncLossProbability > 0 {
		n += e.LostSyncs
	}
	return n
}

func (d Disk) String() string {
	text := "disk of " + names(d.Nodes) + ":"
	if c := d.Condition; c.SyncMax > 0 {
		text += " syncs " + span(c.SyncMin, c.SyncMax) + " slower"
	}
	if d.Condition.Full {
		text += " full"
	}
	for _, part := range []struct {
		probability float64
		what        string
	}{
		{d.Condition.ErrorProbability, "writes fail"}, {d.Condition.CorruptProbability, "reads corrupt"},
		{d.Condition.LossProbability, "records lost"}, {d.Condition.MisdirectProbability, "records misdirected"},
		{d.Condition.SyncLossProbability, "syncs fail and lose"},
	} {
		if part.probability > 0 {
			text += fmt.Sprintf(" %g of %s", part.probability, part.what)
		}
	}
	return text
}

// Corrupt flips a bit in stored values, once and for good.
type Corrupt struct {
	Nodes  []string
	Values int
}

// Begin implements Fault.
func (c Corrupt) Begin(l *Ledger) func() {
	for _, node := range c.Nodes {
		l.affect(l.target.CorruptValues(node, c.Values) > 0)
	}
	return nil
}

func (c Corrupt) String() string {
	return fmt.Sprintf("corrupt %d stored values of %s", c.Values, names(c.Nodes))
}

// Failpoint makes something happen at a named moment of a service, see package
// node/fail.
type Failpoint struct {
	Point string
	// Nodes on which it is on; nil means all.
	Nodes []string
	Do    fail.Action
	// Times is how many hits it applies to; 0 means all.
	Times int
	// RestartAfter boots a node this long after the point crashed it; 0 leaves
	// it down. The runner does it.
	RestartAfter time.Duration
}

// On reports whether the point is on on a node.
func (f Failpoint) On(node string) bool { return f.Nodes == nil || slices.Contains(f.Nodes, node) }

// Begin implements Fault. An unknown point is a bug: scenarios are validated.
func (f Failpoint) Begin(l *Ledger) func() {
	if t, ok := l.target.(Failpoints); ok {
		end, used := t.SetFailpoint(f)
		l.watch(used)
		return end
	}
	rule := fail.Rule{Point: f.Point, Do: f.Do, Times: f.Times, Nodes: f.On}
	disable, used, err := fail.EnableCounted(rule)
	if err != nil {
		panic(fmt.Sprintf("fault: %v", err))
	}
	l.watch(func() bool { return used() > 0 })
	return disable
}

func (f Failpoint) String() string {
	text := "failpoint " + f.Point + ": " + f.Do.String()
	if f.Nodes != nil {
		text += " on " + names(f.Nodes)
	}
	if f.Times > 0 {
		text += fmt.Sprintf(", %d times", f.Times)
	}
	return text
}
