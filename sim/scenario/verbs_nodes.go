package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

type nodesParams struct {
	On *Selector `yaml:"on" doc:"nodes"`
}

func (p *nodesParams) check(d *decoder, at *value, r *roster) { checkOn(d, p.On, at, r) }

func onNodes(make func([]string) fault.Fault) func(any, occurrence) []fault.Timed {
	return func(params any, o occurrence) []fault.Timed {
		return o.one(make(o.nodes(params.(*nodesParams).On)))
	}
}

type crashParams struct {
	On           *Selector   `yaml:"on" doc:"nodes"`
	RestartAfter fault.Range `yaml:"restart-after" zero:"no" doc:"the same as for"`
	LoseDisk     bool        `yaml:"lose-disk" doc:"empties the disks as well"`
}

func (p *crashParams) check(d *decoder, at *value, r *roster) { checkOn(d, p.On, at, r) }

func crashFaults(params any, o occurrence) []fault.Timed {
	p := params.(*crashParams)
	if o.length == 0 && p.RestartAfter.Max > 0 {
		o.length = o.draw.Fork("restart-after").Between(p.RestartAfter.Min, p.RestartAfter.Max)
	}
	return o.one(fault.Crash{Nodes: o.nodes(p.On), LoseDisk: p.LoseDisk})
}

// zoneSeparator is between the zones of one power cut.
const zoneSeparator = ", "

type powerParams struct {
	Zone []string `yaml:"zone" doc:"a zone, or a list of them"`
}

func (p *powerParams) check(d *decoder, at *value, r *roster) {
	zones := at.get("zone")
	for i, zone := range p.Zone {
		place := zones
		if zones.kind == sequence {
			place = zones.items[i]
		}
		if slices.Contains(p.Zone[:i], zone) {
			d.fail(place, "name it once", "zone %s is given twice", quote(zone))
		} else if len(r.zones[zone]) == 0 && !r.unknown() {
			d.fail(place, suggest(zone, sortedKeys(r.zones)), "no node is in zone %s", quote(zone))
		}
	}
}

func powerFaults(params any, o occurrence) []fault.Timed {
	zones := params.(*powerParams).Zone
	nodes := map[string]bool{}
	for _, zone := range zones {
		for _, name := range o.roster.zones[zone] {
			nodes[name] = true
		}
	}
	return o.one(fault.Crash{Nodes: o.roster.inOrder(nodes), Zone: strings.Join(zones, zoneSeparator)})
}

type rollingParams struct {
	On   *Selector   `yaml:"on" doc:"nodes, restarted in their order"`
	Gap  fault.Range `yaml:"gap" doc:"from one restart to the next; default 5s"`
	Down fault.Range `yaml:"down" doc:"how long each stays down; default: as short as it can"`
}

func (p *rollingParams) check(d *decoder, at *value, r *roster) { checkOn(d, p.On, at, r) }

func rollingSteps(params any, _ time.Duration, r *roster) int {
	return len(params.(*rollingParams).On.all(r))
}

func rollingSpan(params any, r *roster) time.Duration {
	p := params.(*rollingParams)
	return time.Duration(max(p.On.most(r), 1)-1) * p.Gap.Max
}

func rollingFaults(params any, o occurrence) []fault.Timed {
	p := params.(*rollingParams)
	return fault.RollingRestart{Nodes: o.nodes(p.On), Gap: p.Gap, Down: p.Down}.Unfold(o.draw)
}

type loopParams struct {
	On   *Selector   `yaml:"on" doc:"nodes"`
	Up   fault.Range `yaml:"up" doc:"how long a node runs; default 5s..15s"`
	Down fault.Range `yaml:"down" doc:"how long it is down; default 1s..5s"`
}

func (p *loopParams) check(d *decoder, at *value, r *roster) {
	checkOn(d, p.On, at, r)
	checkCycle(d, at, p.Up, p.Down)
}

// checkCycle bounds the number of faults that a plan unfolds into.
func checkCycle(d *decoder, at *value, parts ...fault.Range) {
	sum := time.Duration(0)
	for _, r := range parts {
		sum += r.Min
	}
	if sum < time.Millisecond {
		d.fail(at, "", "repeats without a pause: expected at least 1ms")
	}
}

func loopSteps(params any, length time.Duration, r *roster) int {
	p := params.(*loopParams)
	return len(p.On.all(r)) * rounds(length, p.Up.Min+p.Down.Min)
}

// rounds is how often a cycle of at least period fits into length.
func rounds(length, period time.Duration) int {
	return int(min(1+length/max(period, time.Millisecond), StepsMax+1))
}

func loopFaults(params any, o occurrence) []fault.Timed {
	p := params.(*loopParams)
	return fault.CrashLoop{Nodes: o.nodes(p.On), Up: p.Up, Down: p.Down, For: o.total()}.Unfold(o.draw)
}

type churnParams struct {
	On       *Selector   `yaml:"on" doc:"nodes to draw from"`
	Count    int         `yaml:"count" doc:"how many places of failure; default 1"`
	Up       fault.Range `yaml:"up" doc:"between two failures in one place; default 5s..20s"`
	Down     fault.Range `yaml:"down" doc:"how long a node is down; default 5s..15s"`
	LoseDisk bool        `yaml:"lose-disk" doc:"empties the disks as well"`
}

func (p *churnParams) check(d *decoder, at *value, r *roster) {
	checkOn(d, p.On, at, r)
	checkCycle(d, at, p.Up, p.Down)
	if p.On == nil || r.unknown() {
		return
	}
	if most := p.On.most(r); p.Count < 1 || p.Count > most {
		d.fail(at.place("count"), fmt.Sprintf("write 1 to %d", most), "count: expected 1 to %d, as many nodes as there are, found %d", most, p.Count)
	}
}

func churnSteps(params any, length time.Duration, _ *roster) int {
	p := params.(*churnParams)
	return p.Count * rounds(length, p.Up.Min+p.Down.Min)
}

func churnFaults(params any, o occurrence) []fault.Timed {
	p := params.(*churnParams)
	return fault.Churn{Nodes: o.nodes(p.On), Count: p.Count, Up: p.Up, Down: p.Down, For: o.total(), LoseDisk: p.LoseDisk}.Unfold(o.draw)
}

type healParams struct {
	What string `yaml:"what" doc:"all, the only choice"`
}

func (p *healParams) check(d *decoder, at *value, _ *roster) {
	if p.What != "all" && p.What != "true" && p.What != "*" {
		d.fail(at, "write heal: all; to end one kind of fault, use mend, release, resume or start", "heal: expected all, found %s", quote(p.What))
	}
}

type moveParams struct {
	On       *Selector `yaml:"on" doc:"nodes"`
	PortOnly bool      `yaml:"port-only" doc:"the same machine, another port"`
}

func (p *moveParams) check(d *decoder, at *value, r *roster) { checkOn(d, p.On, at, r) }

func moveFaults(params any, o occurrence) []fault.Timed {
	p := params.(*moveParams)
	return o.one(fault.Move{Nodes: o.nodes(p.On), PortOnly: p.PortOnly})
}
