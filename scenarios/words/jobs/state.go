package jobs

import (
	"math"
	"slices"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// Qualities are what patricks and monkeys are selected by.
func Qualities() []scenario.Quality {
	return []scenario.Quality{
		{Name: "jobs.running", Unit: "jobs", Doc: "jobs that a monkey holds", Service: "monkey", Words: []string{"busiest", "least-loaded"},
			New: scenario.Look(func(_ check.View, n check.NodeView) float64 {
				m, ok := n.Service("monkey").(Monkey)
				if !ok || !n.Up {
					return math.NaN()
				}
				return float64(len(m.Holding()))
			})},
		{Name: "builds.time", Unit: "seconds", Doc: "mean time of the builds that a monkey has ended; none if there is no such build", Service: "monkey", Words: []string{"slowest"},
			New: func() scenario.Gauge {
				return &buildTimes{begun: map[string]map[evidence.Attempt]time.Duration{}, ended: map[string][]time.Duration{}}
			}},
		{Name: "pushes.accepted", Unit: "pushes", Doc: "pushes that a patrick was the first to accept", Service: "patrick", Words: []string{"busiest", "least-loaded"},
			New: func() scenario.Gauge { return accepted{} }},
	}
}

// buildTimes is how long builds took, by node.
type buildTimes struct {
	begun map[string]map[evidence.Attempt]time.Duration
	ended map[string][]time.Duration
}

// Hear implements scenario.Listener.
func (b *buildTimes) Hear(f check.Fact) {
	switch f.Name {
	case "build-started":
		if b.begun[f.Node] == nil {
			b.begun[f.Node] = map[evidence.Attempt]time.Duration{}
		}
		b.begun[f.Node][evidence.AttemptOf(f)] = f.At
	case "build-ended":
		a := evidence.AttemptOf(f)
		if at, known := b.begun[f.Node][a]; known {
			b.ended[f.Node] = append(b.ended[f.Node], f.At-at)
			delete(b.begun[f.Node], a)
		}
	}
}

// Of implements scenario.Gauge.
func (b *buildTimes) Of(_ check.View, n check.NodeView) float64 {
	sum := time.Duration(0)
	for _, took := range b.ended[n.Name] {
		sum += took
	}
	return sum.Seconds() / float64(len(b.ended[n.Name])) // NaN for none
}

// accepted counts pushes, by node.
type accepted map[string]float64

// Hear implements scenario.Listener.
func (a accepted) Hear(f check.Fact) {
	if f.Name == "job-accepted" {
		a[f.Node]++
	}
}

// Of implements scenario.Gauge.
func (a accepted) Of(_ check.View, n check.NodeView) float64 {
	if !n.Up {
		return math.NaN()
	}
	return a[n.Name]
}

// Places are where jobs are.
func Places() []scenario.Place {
	params := func() any { return &whichJob{Project: "hello", Branch: "main"} }
	return []scenario.Place{
		{Name: "holder-of", Doc: "the monkeys that hold the newest job of a branch, or of a commit", Example: "crash: {holder-of: {branch: main}}, for: 10s",
			Params: params, New: func() scenario.Finder { return &jobPlace{find: holdersOf} }},
		{Name: "coordinator-of", Doc: "the patrick that decides about the jobs of a branch: the first in its order that is up and not paused", Example: "crash: {coordinator-of: {branch: main}}, for: 10s",
			Params: params, New: func() scenario.Finder { return &jobPlace{find: coordinators} }},
		{Name: "home-of", Doc: "the patrick that comes first for a branch, up or not", Example: "isolate: {home-of: {branch: main}}, for: 10s",
			Params: params, New: func() scenario.Finder { return &jobPlace{find: homes} }},
	}
}

// whichJob is the newest job that was pushed to a branch.
type whichJob struct {
	Project    string `yaml:"project" range:"1..256" doc:"of the push"`
	Repository string `yaml:"repository" range:"1..256" doc:"of the push; default: the project's name"`
	Branch     string `yaml:"branch" range:"1..256" doc:"of the push"`
	Commit     string `yaml:"commit" range:"1..256" doc:"of the push; default: the newest"`
}

// jobPlace remembers what was pushed.
type jobPlace struct {
	pushed []check.Fact
	find   func(v check.View, branch, job string) []string
}

// Hear implements scenario.Listener.
func (p *jobPlace) Hear(f check.Fact) {
	if f.Name == "push-sent" {
		p.pushed = append(p.pushed, f)
	}
}

// Find implements scenario.Finder.
func (p *jobPlace) Find(v check.View, params any) []string {
	which := *params.(*whichJob)
	if which.Repository == "" {
		which.Repository = which.Project
	}
	job := ""
	for _, f := range slices.Backward(p.pushed) {
		if f.Text("project") == which.Project && f.Text("repository") == which.Repository && f.Text("branch") == which.Branch &&
			(which.Commit == "" || which.Commit == f.Text("commit")) {
			job = f.Text("job")
			break
		}
	}
	if job == "" {
		return nil
	}
	return p.find(v, patrickapi.BranchOf(job), job)
}

func holdersOf(v check.View, _, job string) (list []string) {
	for _, n := range v.Nodes() {
		m, ok := n.Service("monkey").(Monkey)
		if !ok || !n.Up {
			continue
		}
		for _, held := range m.Holding() {
			if held.Job == job {
				list = append(list, n.Name)
			}
		}
	}
	return list
}

// homes are the patricks in the order of a branch.
func homes(v check.View, branch, _ string) (list []string) {
	names := map[transport.Peer]string{}
	var peers []transport.Peer
	for _, n := range v.Nodes() {
		if slices.Contains(n.Services, patrickapi.Service) {
			peers = append(peers, n.Peer)
			names[n.Peer] = n.Name
		}
	}
	for _, p := range rendezvous.Rank(branch, peers) {
		list = append(list, names[p])
	}
	return list
}

func coordinators(v check.View, branch, job string) []string {
	return slices.DeleteFunc(homes(v, branch, job), func(name string) bool {
		n, _ := v.Node(name)
		return !n.Up || n.Paused
	})
}
