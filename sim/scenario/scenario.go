package scenario

import (
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/fault"
)

// Bounds of a scenario.
const (
	// NodesMax is how many nodes a cloud may have.
	NodesMax = 10_000
	// DurationMax bounds the virtual time under faults.
	DurationMax = 30 * 24 * time.Hour
	// StepsMax bounds how often entries of the timeline may happen, all
	// together.
	StepsMax = 200_000
	// nameLenMax bounds the names of scenarios and nodes.
	nameLenMax = 63
)

// The wires that a scenario can run on.
const (
	Mocknet = "mocknet"
	Direct  = "direct"
)

// Scenario is a checked scenario file.
type Scenario struct {
	File  string
	Name  string
	About string
	Seed  uint64
	// Duration is the virtual time under faults; healing comes after it.
	Duration time.Duration
	// Wire is Mocknet or Direct.
	Wire     string
	Schedule Schedule
	Nodes    []Node
	// Clouds are the names of the clouds that nodes are members of, "" for that of nodes which name none; that of the
	// first group comes first.
	Clouds   []string
	Network  Network
	Timeline []Entry
	Expect   Expect

	told     []string // whom the scenario names in bootstrap
	roster   *roster
	services map[string][]string // by figure that is bounded, those that it is about
	source   *value              // the file
	text     []byte
}

// Text is what is in the file. It is not to be changed.
func (s *Scenario) Text() []byte { return s.text }

// Node is one node of the cloud.
type Node struct {
	Name  string
	Group string
	// Zone is where it is, "" if the scenario does not say.
	Zone string
	// Services in the order in which they start, with their settings, those
	// that run on every node included.
	Services []node.Configured
	// StartAt is when the node first boots.
	StartAt time.Duration
	// Later: the node is of a later release.
	Later bool
	// Stranger: it is no member of the cloud. Bad are the services that it may offer and attacks
	// with, and does not run; they are not among Services.
	Stranger bool
	Bad      []string
	// Cloud is one of the scenario's, of a stranger "".
	Cloud string
	// Contacts are the nodes by which it finds its cloud; nil: it is told of all.
	Contacts []string
	// Certificate is what its first one says. Invitation is the name of the one by which it comes, in
	// place of a certificate; "" for none.
	Certificate Certificate
	Invitation  string

	source *value // of its group
}

// Network is the shape of links without faults.
type Network struct {
	Default fault.Shape
	// within and between are what links are like within a zone, and between two.
	within, between fault.Shape
	zones           map[string]string // by node
	links           []linkRule
}

type linkRule struct {
	from, to map[string]bool
	twoWay   bool
	shape    fault.Shape
}

// Shape is the link from one node to another: the default, overridden by each
// rule that speaks of the two - their zones first - the last one winning.
func (n *Network) Shape(from, to string) fault.Shape {
	shape := n.Default
	if a, b := n.zones[from], n.zones[to]; a != "" && b != "" {
		if a == b {
			shape = shape.With(n.within)
		} else {
			shape = shape.With(n.between)
		}
	}
	for _, rule := range n.links {
		if !(rule.from[from] && rule.to[to]) && !(rule.twoWay && rule.from[to] && rule.to[from]) {
			continue
		}
		shape = shape.With(rule.shape)
	}
	return shape
}

// Entry is one entry of the timeline, with one or more occurrences.
type Entry struct {
	Line  int // in the file
	About string
	// Label is what windows of figures call the entry, "" for none.
	Label string
	// At is when it first happens, a range to draw from.
	At fault.Range
	// Every is the time between two occurrences; zero if there is one.
	Every fault.Range
	// Times is how often it happens, 0: until Until.
	Times int
	// Until is the end of an entry that repeats; zero is the scenario's.
	Until time.Duration
	// For is how long a fault lasts; zero is until it is healed.
	For fault.Range
	// Jitter delays each occurrence by a draw of its own.
	Jitter fault.Range
	// Verb is the key that names the fault, action or expectation.
	Verb string

	// after counts from the entry before this one instead of the start.
	after *fault.Range
	// first is the number of the first occurrence.
	first  int
	source *value // of the verb's parameters
	params any
	verb   *verb     // of a fault
	action *Action   // of workload
	cloud  string    // of an action's user
	by     []string  // the nodes on which an attack runs
	to     *Selector // whom an action asks, nil for any
	moment *Moment   // of expect
	late   bool      // it selects nodes by their state when it happens
}

// Expect is what must hold.
type Expect struct {
	// Always are checks that must hold all the time, AfterHeal those that must
	// hold Within a virtual time after all faults are over.
	Always    []Check
	AfterHeal []Check
	Within    time.Duration
	// Report bounds figures, in the order of the file.
	Report []Bound
	// Sometimes are marks in the code (node/sometimes), each of which some seed must hit:
	// what many runs are judged by together, and no run alone.
	Sometimes []string
}

// Bound is an expectation about a figure.
type Bound struct {
	Figure string
	// Min and Max are inclusive; nil is unbounded.
	Min, Max *float64
	// Within is how long after healing it may come true; zero: it must in the end.
	Within time.Duration
	// Window is what it is asked for.
	Window Window

	at, source *value // its name, what is expected
	doc        *windowDoc
}

// WithinDefault is how long the cloud may take to recover if the file doesn't
// say.
const WithinDefault = 60 * time.Second
