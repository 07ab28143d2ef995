// Package scenario reads scenario files: strict YAML with errors that name
// file, line, column and a remedy. It knows the words of faults and networks;
// the words for services, workload and expectations come from a Vocabulary.
package scenario

import (
	"context"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
)

// Vocabulary is the words of scenarios beside those of faults. Package scenarios/words holds the
// one that the tools use.
type Vocabulary struct {
	// Command is how people call the program that speaks these words, which replay
	// lines begin with; dreamland.Main finds out if it is "".
	Command string
	// Package is the import path of the package whose function, Function, "" for
	// Vocabulary, returns these words: a test that dreamland shrink writes calls it.
	// Package "": no test is written.
	Package, Function string
	// Services is the catalogue, in the order in which a node starts them.
	Services []node.Spec
	// Always are the specs that run on every node of a scenario in addition,
	// after the others (the beacon).
	Always []node.Spec
	// Finder is the service that tells nodes of each other. In a scenario without it, and if it is "", all
	// nodes are told of all.
	Finder string
	// ClientOffers are services that the client is trusted to offer, though it offers
	// none: its users and auditors also call what only nodes with these may.
	ClientOffers []string
	// ClientRuns are the agents that clients run in clouds with an Issuer: their certificates
	// have to be renewed as those of others.
	ClientRuns []node.Spec
	// Issuer is the service whose nodes sign certificates of others; "" for none.
	Issuer string
	// Rules are what settings of services demand of those of others.
	Rules []node.Rule
	// Actions are the words of the timeline that are workload, not fault.
	Actions []Action
	// Checks are the words of expect.always and expect.after-heal.
	Checks []Check
	// Constant are the names of checks that are expected always, in every scenario.
	Constant []string
	// Qualities are what nodes are selected by at the moment of a fault: busiest.
	Qualities []Quality
	// Places are selectors for where an object is at the moment of a fault: holder-of.
	Places []Place
	// Series are figures that may be asked for some nodes and for a part of a run.
	Series []Series
	// Figures describe those that checks count.
	Figures []Figure
	// Measures are figures that need only a look at the world.
	Measures []Measure
	// Remotes are what checks see of services that run in other processes; of others they see nothing.
	Remotes []Remote
	// Auditors run in every scenario and ask what users could ask: the answers become facts, which
	// checks judge.
	Auditors []Auditor
	// Beliefs lists what a running service believes of things that have a name, for
	// traces; nil for nothing. It must change nothing, and name each thing once. Services
	// are asked each second, and of most things nothing has become known meanwhile: wanted
	// says what is worth looking up, nil for everything. all: what is not listed is not
	// believed any more; it need not be said when everything is wanted.
	Beliefs func(v check.View, s node.Service, wanted func(about string) bool) (list []Belief, all bool)
}

// Belief is what a service believes of one thing.
type Belief struct {
	// About is the thing as fields of facts name it: the id of a job, the root of an
	// item, the name of a node.
	About string
	// Says is the belief, for people.
	Says string
}

// Auditor is a workload of every scenario.
type Auditor struct {
	Name string
	// New makes an auditor for one run.
	New func() Auditing
}

// Auditing is an auditor of one run.
type Auditing interface {
	// Hear is called with all facts, including those of users' actions, as they happen.
	Hear(f check.Fact)
	// Audit is a task of the client: of each of its incarnations, and another one from when
	// everything is healed. It reports the answers as facts.
	Audit(ctx context.Context, client node.Env, part check.Part)
}

// Action is a workload: something that a user of the cloud does.
type Action struct {
	// Name is the key in a timeline entry: "push".
	Name string
	Doc  string
	// Example is such a key with a value, for people.
	Example string
	// Service is the one whose nodes the client asks: it must run somewhere, and to: NODES
	// says which of them are asked, and no others. "": it asks none.
	Service string
	// Params returns a pointer to a struct with yaml tags, holding the defaults.
	Params func() any
	// Validate returns the error of decoded params, nil if there is none.
	Validate func(params any) error
	// Attack is one occurrence on each of the hostile nodes that By names - by name, group or
	// glob - in place of Run. Its errors are nobody's: it reports what came of it as facts.
	Attack Attack
	By     func(params any) string
	// Run is one occurrence, as a task of the client: the node outside of the
	// cloud, called "client", that no fault reaches unless it is named. n counts
	// the occurrences of this timeline entry from 0. An error is a figure
	// (actions.failed), not a verdict.
	Run func(ctx context.Context, client node.Env, params any, n int) error
}

// Check is an expectation that can be named.
type Check struct {
	Name string
	// Means says in one line what it demands, Doc exactly; "" is as Doc.
	Means string
	Doc   string
	// Of are the services that it is about: where none of them runs, it cannot be expected, and
	// its figures that are zero are not reported. None: any.
	Of []string
	// New makes a checker for one run.
	New func() check.Checker
	// Live is how much of it can be judged of real processes.
	Live Observed
}

// Observed is how much of a check can be judged of a world of real processes: of their facts as they come, by looking at
// them now and then, when all has settled. Nobody sees the disks and messages of one, nor several of them at the same moment.
type Observed struct {
	Facts, Polls, Settled bool
	// Witnesses: of facts, with a look at who there is.
	Witnesses bool
	// Missing says what is not judged, and why; "": nothing. A check of which nothing is observed must say so.
	Missing string
}

// Any reports whether anything is observed.
func (o Observed) Any() bool { return o.Facts || o.Polls || o.Settled || o.Witnesses }

// Remote is what checks see of a service that runs in another process.
type Remote struct {
	// Service is its name.
	Service string
	// Facts are the names of those that Look is told.
	Facts []string
	// Look asks the service, as a task of a client. What it returns takes the place of the running instance
	// in a [check.View], and does not change any more. An error means that it cannot be asked now.
	Look func(ctx context.Context, client node.Env, at Seen) (node.Service, error)
}

// Seen is what is known of the node of a remote service.
type Seen struct {
	Node string
	Peer transport.Peer
	// Settings are the service's.
	Settings any
	// Facts are those that Remote.Facts names, of all nodes and users.
	Facts []check.Fact
}

// Figure describes a figure that a check counts.
type Figure struct{ Name, Unit, Doc string }

// Measure is a figure that is read off the world when it is asked for: at the
// end of a run, and at the moments at which it is expected.
type Measure struct {
	Name, Unit string
	Doc        string
	// Of is its value; NaN if it has none.
	Of func(v check.View) float64
}
