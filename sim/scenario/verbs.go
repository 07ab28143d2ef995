package scenario

import (
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

// verbs are the faults of timelines, in the order of the documentation.
var verbs = []verb{
	{name: "crash", doc: "a power cut: what was not synced may be lost; the nodes boot again when it ends", lasts: until,
		example: "crash: {on: core-1, restart-after: 20s}", short: shortFor("on"),
		params: func() any { return &crashParams{} }, faults: crashFaults},
	{name: "power", doc: "cuts the power of whole zones: all of their nodes crash at the same moment, and boot at the same moment when it is back", lasts: until,
		example: "power: {zone: west}", short: shortFor("zone"),
		params: func() any { return &powerParams{} }, faults: powerFaults},
	{name: "stop", doc: "an orderly end; the nodes boot again when it ends", lasts: until,
		example: "stop: core-1", short: shortFor("on"),
		params: func() any { return &nodesParams{} }, faults: onNodes(func(n []string) fault.Fault { return fault.Stop{Nodes: n} })},
	{name: "start", doc: "boots nodes, whatever brought them down", lasts: never,
		example: "start: core-1", short: shortFor("on"),
		params: func() any { return &nodesParams{} }, faults: onNodes(func(n []string) fault.Fault { return fault.Start{Nodes: n} })},
	{name: "restart", doc: "an orderly end, and a boot as soon as it is reached", lasts: never,
		example: "restart: core-1", short: shortFor("on"),
		params: func() any { return &nodesParams{} }, faults: onNodes(func(n []string) fault.Fault { return fault.Restart{Nodes: n} })},
	{name: "rolling-restart", doc: "restarts nodes one after the other", lasts: never,
		example: `rolling-restart: {on: "*", gap: 10s}`, short: shortFor("on"), steps: rollingSteps,
		params: func() any { return &rollingParams{Gap: fault.Range{Min: 5 * time.Second, Max: 5 * time.Second}} }, faults: rollingFaults},
	{name: "crash-loop", doc: "crashes each node again and again", lasts: over,
		example: "crash-loop: {on: core-1, up: 5s..10s, down: 1s..3s}, for: 1m", short: shortFor("on"), steps: loopSteps,
		params: func() any { return &loopParams{Up: seconds(5, 15), Down: seconds(1, 5)} }, faults: loopFaults},
	{name: "churn", doc: "crashes nodes by lot, about count of them being down at any time", lasts: over,
		example: "churn: {on: monkey-*, count: 2, up: 5s..20s, down: 5s..15s}, for: 3m", short: shortFor("on"), steps: churnSteps,
		params: func() any { return &churnParams{Count: 1, Up: seconds(5, 20), Down: seconds(5, 15)} }, faults: churnFaults},
	{name: "pause", doc: "freezes nodes whole; what arrives for them waits", lasts: until,
		example: "pause: core-1", short: shortFor("on"),
		params: func() any { return &nodesParams{} }, faults: onNodes(func(n []string) fault.Fault { return fault.Pause{Nodes: n} })},
	{name: "suspend", doc: "puts nodes to sleep, as laptops: like pause, but their monotonic clocks stand still and their wall clocks jump when they wake", lasts: until,
		example: "suspend: core-1", short: shortFor("on"),
		params: func() any { return &nodesParams{} }, faults: onNodes(func(n []string) fault.Fault { return fault.Suspend{Nodes: n} })},
	{name: "resume", doc: "ends all pauses and suspensions of nodes", lasts: never,
		example: "resume: core-1", short: shortFor("on"),
		params: func() any { return &nodesParams{} }, faults: onNodes(func(n []string) fault.Fault { return fault.Resume{Nodes: n} })},

	{name: "partition", doc: `groups of nodes that can't talk to each other; "*" is everybody else; a node in no group keeps all links`, lasts: until,
		example: `partition: [[core-1, monkey-1], ["*"]]`, short: shortFor("groups"),
		params: func() any { return &partitionParams{} }, faults: partitionFaults},
	{name: "isolate", doc: "cuts each node off from all others", lasts: until,
		example: "isolate: core-1", short: shortFor("on"),
		params: func() any { return &nodesParams{} }, faults: isolateFaults},
	{name: "cut", doc: "loses everything on links", lasts: until,
		example: "cut: {from: core-1, to: core-2}", short: shortLinks,
		params: func() any { return &linkParams{} }, faults: onLinks(func(p fault.Pairs) fault.Fault { return fault.Cut{Pairs: p} })},
	{name: "mend", doc: "ends all cuts and partitions of links", lasts: never,
		example: `mend: "*"`, short: shortLinks,
		params: func() any { return &linkParams{} }, faults: onLinks(func(p fault.Pairs) fault.Fault { return fault.Mend{Pairs: withClient(p)} })},
	{name: "hold", doc: "keeps what travels on links; it arrives, in order, when the hold ends", lasts: until,
		example: "hold: {from: core-1, to: monkey-*}", short: shortLinks,
		params: func() any { return &linkParams{} }, faults: onLinks(func(p fault.Pairs) fault.Fault { return fault.Hold{Pairs: p} })},
	{name: "release", doc: "ends all holds of links", lasts: never,
		example: `release: "*"`, short: shortLinks,
		params: func() any { return &linkParams{} }, faults: onLinks(func(p fault.Pairs) fault.Fault { return fault.Release{Pairs: withClient(p)} })},
	{name: "reset", doc: "ends the connections between nodes once; they may dial again", lasts: never,
		example: "reset: [core-1, core-2]", short: shortLinks,
		params: func() any { return &linkParams{} }, faults: onLinks(func(p fault.Pairs) fault.Fault { return fault.Reset{Pairs: p} })},
	{name: "refuse", doc: "makes new dials fail; existing connections stay", lasts: until,
		example: "refuse: {from: monkey-*, to: core-1}", short: shortLinks,
		params: func() any { return &linkParams{} }, faults: onLinks(func(p fault.Pairs) fault.Fault { return fault.Refuse{Pairs: p} })},
	{name: "slow-link", doc: "changes latency and bandwidth of links", lasts: until,
		example: "slow-link: {on: core-1, latency: 1s..3s, bandwidth: 64kB/s}",
		params:  func() any { return &slowParams{} }, faults: slowFaults},
	{name: "flaky-link", doc: "resets the connections on links again and again", lasts: over,
		example: "flaky-link: {between: [core-*, monkey-*], every: 2s..8s}, for: 1m", short: shortLinks, steps: flakySteps,
		params: func() any { return &flakyParams{Every: seconds(2, 10)} }, faults: flakyFaults},

	{name: "duplicate", doc: "delivers requests, notes and publications on links twice, the second time later and perhaps after others; the answer to a second request is dropped", lasts: until,
		example: "duplicate: {from: client, to: core-*, chance: 50%, later: 10ms..5s}", short: shortLinks,
		params: func() any { return &duplicateParams{Chance: 0.5, Later: millis(0, 5000)} }, faults: duplicateFaults},
	{name: "lie", doc: "makes nodes answer with other contents than they have: a few bits flipped where no checksum of the network notices", lasts: until,
		example: "lie: {on: core-1, about: blocks, chance: 50%}", short: shortFor("on"),
		params: func() any { return &lieParams{Chance: 1, About: aboutBlocks} }, faults: lieFaults},

	{name: "skew", doc: "makes wall clocks jump; monotonic time is not affected. Without for, healing leaves it", lasts: until,
		example: "skew: {on: core-1, by: -1m}",
		params:  func() any { return &skewParams{} }, faults: skewFaults},
	{name: "drift", doc: "makes clocks run fast or slow, in parts per million", lasts: until,
		example: "drift: {on: core-1, ppm: 500}",
		params:  func() any { return &driftParams{} }, faults: driftFaults},
	{name: "disk", doc: "makes disks slow, full, failing or lying", lasts: until,
		example: "disk: {on: core-1, slow: 50ms..200ms}",
		params:  func() any { return &diskParams{} }, faults: diskFaults},
	{name: "failpoint", doc: "crash, error, drop, \"delay 3s\", panic or hang at a named moment of a service (dreamland failpoints lists them)", lasts: until,
		example: "failpoint: {name: monkey/after-lock, on: monkey-1, do: crash, times: 1}",
		params:  func() any { return &failpointParams{} }, faults: failpointFaults},
	{name: "heal", doc: "ends every fault and boots every node that is down", lasts: never,
		example: "heal: all", short: func(v *value) *value { return shortFor("what")(v) },
		params: func() any { return &healParams{} }, faults: func(_ any, o occurrence) []fault.Timed { return o.one(fault.Heal{}) }},
}

func millis(lo, hi int) fault.Range {
	return fault.Range{Min: time.Duration(lo) * time.Millisecond, Max: time.Duration(hi) * time.Millisecond}
}

func seconds(lo, hi int) fault.Range {
	return fault.Range{Min: time.Duration(lo) * time.Second, Max: time.Duration(hi) * time.Second}
}

type nodesParams struct {
	On *Selector `yaml:"on" doc:"nodes"`
}

func (p *nodesParams) check(d *decoder, at *value, r *roster) { checkOn(d, p.On, at, r) }

func onNodes(make func([]string) fault.Fault) func(any, occurrence) []fault.Timed {
	return func(params any, o occurrence) []fault.Timed {
		return o.one(make(o.nodes(params.(*nodesParams).On)))
	}
}

func onLinks(make func(fault.Pairs) fault.Fault) func(any, occurrence) []fault.Timed {
	return func(params any, o occurrence) []fault.Timed {
		return o.one(make(params.(*linkParams).pairs(o.roster, o.draw)))
	}
}

// withClient includes the client where all links of nodes are meant: ending faults must also end
// those of the client.
func withClient(p fault.Pairs) fault.Pairs {
	if p.TwoWay {
		p.To = append(slices.Clone(p.To), Client)
	}
	return p
}

type crashParams struct {
	On           *Selector   `yaml:"on" doc:"nodes"`
	RestartAfter fault.Range `yaml:"restart-after" doc:"the same as for"`
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
	if len(p.Zone) == 0 {
		d.fail(at, "", "power: zone is missing")
	}
	zones := at.get("zone")
	for i, zone := range p.Zone {
		if len(r.zones[zone]) > 0 {
			continue
		}
		place := zones
		if zones.kind == sequence {
			place = zones.items[i]
		}
		d.fail(place, suggest(zone, sortedKeys(r.zones)), "no node is in zone %s", quote(zone))
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
	if p.Count < 1 || p.Count > NodesMax {
		d.fail(at, "", "count: expected 1 to %d, found %d", NodesMax, p.Count)
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
