package words

import (
	"slices"

	"github.com/taucloud/tau/scenarios/words/jobs"
	"github.com/taucloud/tau/scenarios/words/versions"
	"github.com/taucloud/tau/sim/scenario"
)

// Why something is not judged of real processes.
const (
	noDisks    = "nobody reads the disk of a process beside it"
	noMessages = "what passes between processes is encrypted"
	noInside   = "what a process has in memory is not told to anybody"
)

var (
	byFacts = scenario.Observed{Facts: true}
	// bySettling looks at nodes as well, now and then and in the end.
	bySettling = scenario.Observed{Facts: true, Polls: true, Settled: true}
)

// but is what is observed, without something.
func but(o scenario.Observed, missing string) scenario.Observed {
	o.Missing = missing
	return o
}

func unseen(why string) scenario.Observed { return scenario.Observed{Missing: why} }

// live says how much of each check can be judged of real processes.
var live = map[string]scenario.Observed{
	"no-lost-jobs":                  {Facts: true, Polls: true},
	"answers-are-true":              bySettling,
	"cancelled-is-not-published":    bySettling,
	"ack-is-durable":                unseen(noDisks),
	"dedupe":                        but(byFacts, "no patrick reports that it has heard of a job from others, so nobody notices if it accepts it as new"),
	"every-job-final":               bySettling,
	"one-effective-outcome-per-job": bySettling,
	"slots-are-kept":                {Facts: true, Polls: true},
	"artifacts-are-kept":            unseen(noDisks),
	"incarnations-rise":             byFacts,
	"one-holder-per-job":            {Facts: true, Polls: true, Missing: "when a monkey has last renewed a lock, nobody else can tell"},
	"whole-versions-only":           but(byFacts, noInside+": stored versions are not looked through"),
	"versions-are-true":             but(bySettling, noDisks+": that what is durable is on disks, tns alone says"),
	"projects-are-of-one-commit":    unseen("what real toolchains make of a commit nobody knows beforehand"),
	"projects-are-of-their-heads":   unseen("there is no forge in it"),
	"newest-success-is-live":        bySettling,
	"no-stale-publish":              byFacts,
	"replicas-converged":            unseen(noInside),
	"live-artifacts-kept":           unseen(noInside),
	"history-kept":                  bySettling,
	"caught-up-before-serving":      unseen(noInside),
	"forges-are-followed":           unseen("real processes have no simulated forge"),
	"webhooks-are-answered":         byFacts,
	"secrets-stay-secret":           but(byFacts, noDisks),
	"answers-are-one-version":       {Facts: true, Polls: true},
	"requests-are-alone":            {Facts: true},
	"functions-are-bounded":         {Facts: true},
	"streams-are-whole":             {Facts: true},
	"functions-run-once":            {Facts: true},
	"requests-are-answered":         {Facts: true, Polls: true},
	"substrates-follow":             unseen(noInside),
	"nothing-uninvited":             {Witnesses: true},
	"rules-are-kept":                unseen(noMessages),
	"revoked-are-out":               unseen(noMessages),
	"expired-are-out":               unseen(noMessages),
	"invitations-are-kept":          unseen(noMessages),
	"certificates-are-renewed":      unseen(noInside),
	"dead-node-leaves":              unseen(noInside),
	"live-node-present":             unseen(noInside),
	"members-are-known":             unseen(noInside),
	"clouds-never-mix":              unseen(noInside),
	"members-are-told":              unseen(noInside),
	"seers-agree":                   unseen(noInside),
	"last-copy-kept":                unseen(noDisks),
	"copies-restored":               unseen(noDisks),
	"bounded-surplus":               unseen(noDisks),
	"content-intact":                unseen(noDisks),
	"capacity-respected":            unseen(noDisks),
	"items-are-told":                unseen(noDisks),
}

// observed adds to checks how much of them can be judged of real processes.
func observed(list []scenario.Check) []scenario.Check {
	for i := range list {
		list[i].Live = live[list[i].Name]
	}
	return list
}

// remotes are what is seen of services in other processes.
func remotes() []scenario.Remote { return slices.Concat(jobs.Remotes(), versions.Remotes()) }
