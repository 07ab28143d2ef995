// Package audit is a user who asks the cloud all through a run: single replicas,
// and whoever answers, about what users have done. It judges nothing: what was
// asked when, and what the answer was, become facts, which the checks compare
// with what must be true.
package audit

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

const (
	// lookInterval is the pause between two looks at first. It grows by lookSlowing
	// of the time that has passed, so that the looks of a run of a month are a few
	// thousand.
	lookInterval = 700 * time.Millisecond
	lookSlowing  = 300
	// looksMax bounds the looks that wait for an answer.
	looksMax = 8
	// sweepInterval is the pause between two sweeps over everything, after healing.
	sweepInterval = 3 * time.Second
	// recentMax is how many of the newest jobs are looked at more often than others.
	recentMax = 5
	// suspiciousLooks is for how many looks a rotten disk is looked for.
	suspiciousLooks = 16
	// watchesMax bounds the branches that are watched.
	watchesMax = 3
)

// Auditors are the users who only ask.
func Auditors() []scenario.Auditor {
	return []scenario.Auditor{{Name: "users-ask", New: func() scenario.Auditing { return newAuditor() }}}
}

type auditor struct {
	*rand.Rand
	jobs     subjects[string]
	projects subjects[string]
	branches subjects[tnsapi.BranchRequest]
	// whole are the branches that whole projects were pushed to.
	whole subjects[tnsapi.BranchRequest]
	// artifacts are what jobs came to, by what their pushes must come to.
	artifacts subjects[string]
	expected  map[string]string // artifact by job
	running   []string          // jobs that somebody builds
	items     subjects[string]  // roots that users stored
	sizes     map[string]int64  // of what hoarders keep, in bytes
	reading   bool              // one of them
	databases subjects[databaseName]
	// suspicious is how many of the next looks ask hoarders for their copies, as a
	// disk has just rotted.
	suspicious int
	follower   *seerapi.Follower[seerapi.Member]
	following  bool
	follows    uint64 // incarnation of the client that follows
	flying     int
	watched    int
	sweeps     int
}

// subjects are things to ask about, in the order in which they became known.
type subjects[T comparable] struct {
	list  []T
	known map[T]bool
}

func (s *subjects[T]) add(t T) {
	if s.known == nil {
		s.known = map[T]bool{}
	}
	if !s.known[t] {
		s.known[t] = true
		s.list = append(s.list, t)
	}
}

func newAuditor() *auditor { return &auditor{expected: map[string]string{}, sizes: map[string]int64{}} }

// Hear implements scenario.Auditing.
func (a *auditor) Hear(f check.Fact) {
	switch f.Name {
	case "push-sent":
		a.expected[f.Text("job")] = f.Text("artifact")
	case "push-acknowledged":
		a.jobs.add(f.Text("job"))
		a.projects.add(f.Text("project"))
		a.branches.add(tnsapi.BranchRequest{Project: f.Text("project"), Branch: f.Text("branch")})
	case "project-sent", "part-sent":
		a.whole.add(tnsapi.BranchRequest{Project: f.Text("project"), Branch: f.Text("branch")})
	case "publish-sent", "rollback-sent":
		a.branches.add(tnsapi.BranchRequest{Project: f.Text("project"), Branch: f.Text("branch")})
	case "disk-rotted":
		a.suspicious = suspiciousLooks
	case "store-acknowledged":
		a.items.add(f.Text("root"))
		a.sizes[f.Text("root")] = f.Int("bytes")
		if f.Text("kind") == "database" {
			a.databases.add(databaseName{f.Text("owner"), f.Text("name")})
		}
	case "item-pinned":
		a.sizes[f.Text("root")] = f.Int("bytes")
	case "job-granted":
		a.running = append(a.running, f.Text("job"))
	case "job-finished":
		a.running = slices.DeleteFunc(a.running, func(id string) bool { return id == f.Text("job") })
		if root := a.expected[f.Text("job")]; root != "" && f.Text("artifact") == root {
			a.artifacts.add(root)
		}
	}
}

// Audit implements scenario.Auditing. The draws are the auditor's own: what it
// asks moves nothing that users do.
func (a *auditor) Audit(ctx context.Context, env node.Env, part check.Part) {
	if a.Rand == nil {
		a.Rand = rand.New(rand.NewPCG(binary.BigEndian.Uint64(env.Self[:8]), 1))
	}
	if part == check.AfterHeal {
		a.sweepAll(ctx, env)
		return
	}
	for {
		pause := lookInterval + env.Loop.Elapsed()/lookSlowing
		if clock.Sleep(ctx, env.Loop, pause/2+time.Duration(a.Int64N(int64(pause)))) != nil {
			return
		}
		a.look(env)
	}
}

// look asks one thing, as a task of its own: whoever does not answer delays
// nobody else.
func (a *auditor) look(env node.Env) {
	looks := a.looks(env)
	if len(looks) == 0 || a.flying >= looksMax {
		return
	}
	look := looks[a.IntN(len(looks))]
	if a.suspicious > 0 && len(a.items.list) > 0 && a.serves(env, "hoarder") {
		a.suspicious--
		look = a.lookAtCopy
	}
	a.spawn(env, look)
	if a.watched < min(watchesMax, len(a.branches.list)) && a.serves(env, tnsapi.Service) {
		b := a.branches.list[a.watched]
		a.watched++
		env.Loop.Go("audit-watch", func(ctx context.Context) { a.watch(ctx, env, b) })
	}
}

type lookFunc func(ctx context.Context, env node.Env)

func (a *auditor) spawn(env node.Env, look lookFunc) {
	a.flying++
	env.Loop.Go("audit-look", func(ctx context.Context) {
		defer func() { a.flying-- }()
		ctx, cancel := clock.WithTimeout(ctx, env.Loop, evidence.LookTimeout)
		defer cancel()
		look(ctx, env)
	})
}

// looks are what can be asked in this cloud, what matters more more often.
func (a *auditor) looks(env node.Env) (list []lookFunc) {
	if len(a.jobs.list) > 0 && a.serves(env, "patrick") {
		list = append(list, a.lookAtJob, a.lookAtJob, a.lookAtJob, a.lookAtLogs, a.lookAtList, a.lookAtOpen)
		if a.serves(env, "monkey") {
			list = append(list, a.lookAtMonkey)
		}
	}
	if len(a.branches.list) > 0 && a.serves(env, tnsapi.Service) {
		list = append(list, a.lookAtCurrent, a.lookAtCurrent, a.lookAtHistory, a.lookAtEntries)
	}
	if len(a.whole.list) > 0 && a.serves(env, tnsapi.Service) && a.serves(env, "hoarder") {
		list = append(list, a.lookAtProject, a.lookAtProject)
	}
	if len(a.artifacts.list) > 0 && a.serves(env, "hoarder") {
		list = append(list, a.lookAtArtifact)
	}
	if a.serves(env, "hoarder") {
		list = append(list, a.itemLooks()...)
	}
	if a.serves(env, seerapi.Service) {
		list = append(list, a.lookAtMembers, a.lookWhoLives, a.lookAtFollower)
	}
	return list
}

func (a *auditor) serves(env node.Env, service string) bool {
	return env.Presence(service) == transport.Somebody
}

// someone is a node that offers a service, by lot.
func (a *auditor) someone(env node.Env, service string) transport.Peer {
	peers, _ := env.Wire.Directory().Lookup(service)
	return peers[a.IntN(len(peers))]
}

// pick draws one of a list, every other time one of the newest.
func pick[T any](a *auditor, list []T) T {
	n := len(list)
	if a.IntN(2) == 0 {
		n = min(n, recentMax)
	}
	return list[len(list)-1-a.IntN(n)]
}

// answered reports an answer: who gave it, when it was asked for, whether it is
// an error, and what it says.
func answered(env node.Env, fact string, by transport.Peer, began time.Duration, err error, fields ...node.Field) {
	kind := ""
	if err != nil {
		kind, fields = transport.KindOf(err).String(), nil
	}
	env.Observe(fact, append([]node.Field{node.F("by", by), node.F("took", env.Loop.Elapsed()-began), node.F("error", kind)}, fields...)...)
}

// sweepAll asks about everything, again and again, each time other replicas.
func (a *auditor) sweepAll(ctx context.Context, env node.Env) {
	for {
		began := env.Loop.Elapsed()
		n := a.sweeps
		a.sweeps++
		a.sweepJobs(ctx, env, n)
		a.sweepBranches(ctx, env, n)
		a.sweepProjects(ctx, env, n)
		a.sweepItems(ctx, env, n)
		a.sweepMembers(ctx, env, n)
		env.Observe("audit-swept", node.F("sweep", n), node.F("took", env.Loop.Elapsed()-began))
		if clock.Sleep(ctx, env.Loop, sweepInterval) != nil {
			return
		}
	}
}
