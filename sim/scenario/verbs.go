package scenario

import (
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
	{name: "move", doc: "gives nodes another address, as a laptop in another network; their connections break, and nobody is reached under an address of before. It stays", lasts: never,
		example: "move: core-1", short: shortFor("on"),
		params: func() any { return &moveParams{} }, faults: moveFaults},
	{name: "leave", doc: "nodes leave the cloud for ever: those that are up say so and end in order, those that are down are just gone. Nothing brings them back, and no check looks at them", lasts: never,
		example: "leave: core-3", short: shortFor("on"),
		params: func() any { return &nodesParams{} }, faults: onNodes(func(n []string) fault.Fault { return fault.Leave{Nodes: n} })},
	{name: "rolling-restart", doc: "restarts nodes one after the other", lasts: never,
		example: `rolling-restart: {on: "*", gap: 10s}`, short: shortFor("on"), steps: rollingSteps, span: rollingSpan,
		params: func() any { return &rollingParams{Gap: fault.Range{Min: 5 * time.Second, Max: 5 * time.Second}} }, faults: rollingFaults},
	{name: "crash-loop", doc: "crashes each node again and again", lasts: over,
		example: "crash-loop: {on: core-1, up: 5s..10s, down: 1s..3s}, for: 1m", short: shortFor("on"), steps: loopSteps, earliest: func(p any) time.Duration { return p.(*loopParams).Up.Min },
		params: func() any { return &loopParams{Up: seconds(5, 15), Down: seconds(1, 5)} }, faults: loopFaults},
	{name: "churn", doc: "crashes nodes by lot, about count of them being down at any time", lasts: over,
		example: "churn: {on: monkey-*, count: 2, up: 5s..20s, down: 5s..15s}, for: 3m", short: shortFor("on"), steps: churnSteps, earliest: func(p any) time.Duration { return p.(*churnParams).Up.Min },
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
		params: func() any { return &isolateParams{} }, faults: isolateFaults},
	{name: "cut", doc: "loses everything on links", lasts: until,
		example: "cut: {from: core-1, to: core-2}", short: shortLinks,
		params: func() any { return &linkParams{} }, faults: onLinks(func(p fault.Pairs) fault.Fault { return fault.Cut{Pairs: p} })},
	{name: "mend", doc: "ends all cuts and partitions of links", lasts: never,
		example: `mend: "*"`, short: shortLinks,
		params: func() any { return &endParams{} }, faults: onLinks(func(p fault.Pairs) fault.Fault { return fault.Mend{Pairs: withClient(p)} })},
	{name: "hold", doc: "keeps what travels on links; it arrives, in order, when the hold ends", lasts: until,
		example: "hold: {from: core-1, to: monkey-*}", short: shortLinks,
		params: func() any { return &linkParams{} }, faults: onLinks(func(p fault.Pairs) fault.Fault { return fault.Hold{Pairs: p} })},
	{name: "release", doc: "ends all holds of links", lasts: never,
		example: `release: "*"`, short: shortLinks,
		params: func() any { return &endParams{} }, faults: onLinks(func(p fault.Pairs) fault.Fault { return fault.Release{Pairs: withClient(p)} })},
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
		example: "flaky-link: {between: [core-*, monkey-*], every: 2s..8s}, for: 1m", short: shortLinks, steps: flakySteps, earliest: func(p any) time.Duration { return p.(*flakyParams).Every.Min },
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
