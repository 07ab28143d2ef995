package jobs

import (
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

// Series are what happens with jobs, by node and moment.
func Series() []scenario.Series {
	return []scenario.Series{
		{Name: "jobs.started", Unit: "jobs", Service: "monkey", Doc: "jobs that a monkey was given, where it was", New: scenario.CountFacts("monkey", "lock-taken")},
		{Name: "jobs.attempts", Unit: "attempts", Service: "patrick", Doc: "grants of jobs to monkeys, where a patrick made them", New: scenario.CountFacts("patrick", "job-granted")},
		{Name: "jobs.expired", Unit: "attempts", Service: "patrick", Doc: "grants that a patrick ended because they were not renewed, or their holder was gone", New: scenario.CountFacts("patrick", "job-expired")},
		{Name: "publishes.refused", Unit: "publications", Service: "tns", Doc: "publications that a tns refused for their token", New: func() scenario.Sampler {
			return scenario.SamplerFunc(func(f check.Fact) (scenario.Sample, bool) {
				return scenario.Sample{Node: f.Node, Amount: 1}, f.Service == "tns" && f.Name == "publish-refused" && f.Text("why") == "conflict"
			})
		}},
		{Name: "pushes.time", Unit: "seconds", OnClient: true, Service: "patrick", Spread: true, Doc: "from the first delivery of a push to its first acknowledgement, on the client", New: scenario.Between("push-sent", "push-acknowledged", "job")},
		{Name: "builds.time", Unit: "seconds", Service: "monkey", Spread: true, Doc: "from the begin of a build to its end, on its monkey", New: scenario.Between("build-started", "build-ended", "job")},
		{Name: "jobs.latency", Unit: "seconds", Service: "patrick", Spread: true, Doc: "from the first delivery of a push to the success of its job, where a patrick decided that first", New: func() scenario.Sampler {
			return successes{scenario.Between("push-sent", "job-finished", "job")()}
		}},
	}
}

// successes ends jobs with their success only.
type successes struct{ scenario.Sampler }

// Sample implements scenario.Sampler.
func (s successes) Sample(f check.Fact) (scenario.Sample, bool) {
	if f.Name == "job-finished" && f.Text("status") != patrickapi.Success.String() {
		return scenario.Sample{}, false
	}
	return s.Sampler.Sample(f)
}

// Figures describe what the checks of this package count.
func Figures() []scenario.Figure {
	return []scenario.Figure{
		{Name: "jobs.pushed", Unit: "jobs", Doc: "jobs that users pushed, each once however often it was delivered"},
		{Name: "jobs.acknowledged", Unit: "jobs", Doc: "of these, those whose push was acknowledged"},
		{Name: "jobs.succeeded", Unit: "jobs", Doc: "jobs that ended with success"},
		{Name: "jobs.failed", Unit: "jobs", Doc: "jobs that ended with a failure, and not with success later"},
		{Name: "jobs.cancelled", Unit: "jobs", Doc: "jobs that ended because somebody cancelled them, or a newer push made them superfluous"},
		{Name: "jobs.forgotten", Unit: "jobs", Doc: "jobs that had ended and that a patrick let go"},
		{Name: "jobs.kept.max", Unit: "jobs", Doc: "the most jobs that a patrick knew of at once"},
		{Name: "stored.patrick.max", Unit: "contents", Doc: "the most trees, logs and artifacts that were on one node's disk for its patrick"},
		{Name: "stored.monkey.max", Unit: "contents", Doc: "the most of them that were there for its monkey"},
		{Name: "builds.at-once.max", Unit: "builds", Doc: "the most builds that one monkey had under way at once"},
	}
}
