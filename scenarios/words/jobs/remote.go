package jobs

import (
	"context"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/scenario"
)

// Remotes are what is seen of patricks and monkeys that run elsewhere: what they tell whoever lists their jobs, and asks what
// they are at.
func Remotes() []scenario.Remote {
	return []scenario.Remote{
		{Service: patrickapi.Service, Facts: []string{"job-forgotten"}, Look: lookAtPatrick},
		{Service: monkeyapi.Service, Look: lookAtMonkey},
	}
}

// pagesMax bounds the pages that are read of a patrick: all jobs that it keeps by its default settings, and more.
const pagesMax = 200

// farPatrick is a patrick as it was asked. It implements Patrick; that a tree or a log is there, nobody can tell from
// outside, so all of them are.
type farPatrick struct {
	jobs   map[string]patrickapi.Job
	forgot map[string]bool
	lease  time.Duration
}

var _ Patrick = (*farPatrick)(nil)

func lookAtPatrick(ctx context.Context, client node.Env, at scenario.Seen) (node.Service, error) {
	p := &farPatrick{jobs: map[string]patrickapi.Job{}, forgot: map[string]bool{}}
	if set, is := at.Settings.(*patrick.Settings); is {
		p.lease = set.Lease
	}
	for _, f := range at.Facts {
		if f.Node == at.Node {
			p.forgot[f.Text("job")] = true
		}
	}
	req := patrickapi.ListRequest{}
	for range pagesMax {
		page, err := patrickapi.List.Call(ctx, client.Wire, at.Peer, req)
		if err != nil {
			return nil, err
		}
		for _, j := range page.Jobs {
			p.jobs[j.ID] = j
			req.After = j.ID
		}
		if !page.More || len(page.Jobs) == 0 {
			break
		}
	}
	return p, nil
}

// newer reports whether what is seen of a patrick may be newer than the facts that were heard: one that runs elsewhere goes on
// while it is asked.
func newer(p Patrick) bool {
	_, far := p.(*farPatrick)
	return far
}

// Start implements node.Service.
func (*farPatrick) Start(context.Context) error { return nil }

// Stop implements node.Service.
func (*farPatrick) Stop(context.Context) error { return nil }

// Job implements Patrick.
func (p *farPatrick) Job(id string) patrickapi.Job { return p.jobs[id] }

// Status implements Patrick.
func (p *farPatrick) Status(id string) patrickapi.Status { return p.jobs[id].Status }

// Forgot implements Patrick.
func (p *farPatrick) Forgot(id string) bool { return p.forgot[id] }

// Overtaken implements Patrick.
func (p *farPatrick) Overtaken(id string) bool { return p.forgot[id] }

// Source implements Patrick: of a job that has not ended.
func (p *farPatrick) Source(id string) string {
	if j := p.jobs[id]; j.Status != patrickapi.Unknown && !j.Status.Final() {
		return j.Source
	}
	return ""
}

// HasSource implements Patrick.
func (p *farPatrick) HasSource(source string) bool { return source != "" }

// Known implements Patrick.
func (p *farPatrick) Known() int { return len(p.jobs) }

// Stored implements Patrick: nobody can tell.
func (p *farPatrick) Stored() int { return 0 }

// Lease implements Patrick.
func (p *farPatrick) Lease() time.Duration { return p.lease }

// farMonkey is a monkey as it was asked. It implements Monkey; when it has last renewed a lock, nobody can tell from outside.
type farMonkey struct{ holding []monkey.Held }

var _ Monkey = (*farMonkey)(nil)

func lookAtMonkey(ctx context.Context, client node.Env, at scenario.Seen) (node.Service, error) {
	resp, err := monkeyapi.Status.Call(ctx, client.Wire, at.Peer, monkeyapi.StatusRequest{})
	if err != nil {
		return nil, err
	}
	m := &farMonkey{}
	for _, w := range resp.Work {
		if w.Token.Attempt > 0 { // else it competes for it
			m.holding = append(m.holding, monkey.Held{Job: w.Job, Token: w.Token})
		}
	}
	return m, nil
}

// Start implements node.Service.
func (*farMonkey) Start(context.Context) error { return nil }

// Stop implements node.Service.
func (*farMonkey) Stop(context.Context) error { return nil }

// Holding implements Monkey.
func (m *farMonkey) Holding() []monkey.Held { return m.holding }

// Stored implements Monkey: nobody can tell.
func (*farMonkey) Stored() int { return 0 }
