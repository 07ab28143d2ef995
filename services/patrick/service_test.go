package patrick

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage/blocks"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// office is some patricks, a registry and monkeys that do what a test says, and a
// user.
type office struct {
	*nodetest.Cloud
	patricks []*nodetest.Machine
	monkeys  []*worker
	registry *registry // nil if the cloud has no tns
	user     *nodetest.Caller
	client   *patrickapi.Client
}

// setup is how an office is to be. The zero value has two patricks, a registry and
// two monkeys.
type setup struct {
	patricks int
	noTNS    bool
	change   func(s *Settings)
}

func inOffice(t *testing.T, set setup, f func(o *office)) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		o := &office{Cloud: c}
		if !set.noTNS {
			o.registry = newRegistry()
			c.Add("registry", node.Configured{Spec: nodetest.Part(tnsapi.Service, o.registry.start)}).Start()
		}
		for i := range 2 {
			w := &worker{office: o}
			w.Machine = c.Add(fmt.Sprintf("monkey-%d", i+1), node.Configured{Spec: nodetest.Part("monkey", w.start)})
			w.Machine.Start()
			o.monkeys = append(o.monkeys, w)
		}
		for i := range max(2, set.patricks) {
			settings := DefaultSettings()
			if set.change != nil {
				set.change(settings)
			}
			o.patricks = append(o.patricks, c.Add(fmt.Sprintf("patrick-%d", i+1), node.Configured{Spec: Spec(Ends{}), Settings: settings}))
		}
		for _, m := range o.patricks {
			m.Start()
		}
		o.user = c.Caller("user", "monkey")
		o.client = patrickapi.NewClient(o.user.Env.Wire)
		f(o)
	})
}

// registry stands in for tns.
type registry struct {
	env    node.Env
	silent bool
	// noHistory, silentHistory: tns knows nothing of any branch, or does not say
	noHistory, silentHistory bool
	versions                 []tnsapi.Version
	fences                   map[string]fencing.Token
	asked, histories         int // for the current version, and for all of a branch
	noFences                 bool
}

func (r *registry) start(env node.Env) {
	r.env = env
	down := func() error {
		if r.silent {
			return transport.New(transport.Internal, "tns", "silent")
		}
		return nil
	}
	tnsapi.Fence.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req tnsapi.FenceRequest) (tnsapi.FenceResponse, error) {
		if r.noFences {
			return tnsapi.FenceResponse{}, transport.New(transport.Refused, "tns", "full")
		}
		if down() == nil && req.Token.Compare(r.fences[req.Job]) < 0 {
			return tnsapi.FenceResponse{}, transport.New(transport.Conflict, "tns", "stale")
		}
		if down() == nil {
			r.fences[req.Job] = req.Token
		}
		return tnsapi.FenceResponse{}, down()
	})
	tnsapi.History.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req tnsapi.BranchRequest) (tnsapi.HistoryResponse, error) {
		r.histories++
		switch {
		case req.Project != "p" || req.Branch == "":
			return tnsapi.HistoryResponse{}, transport.New(transport.Invalid, "tns", "of what?")
		case r.noHistory:
			return tnsapi.HistoryResponse{}, transport.New(transport.NotFound, "tns", "nothing")
		case r.silentHistory:
			return tnsapi.HistoryResponse{}, transport.New(transport.Internal, "tns", "silent")
		}
		return tnsapi.HistoryResponse{Versions: r.versions}, down()
	})
	tnsapi.Current.Serve(env.Wire, func(context.Context, transport.Peer, tnsapi.BranchRequest) (tnsapi.Version, error) {
		r.asked++
		if len(r.versions) == 0 && down() == nil {
			return tnsapi.Version{}, transport.New(transport.NotFound, "tns", "nothing")
		}
		if down() != nil {
			return tnsapi.Version{}, down()
		}
		return r.versions[0], nil
	})
}

// publish makes a version of a job visible, as its holder may have done.
func (r *registry) publish(job string, token fencing.Token, order uint64) {
	r.versions = append([]tnsapi.Version{{Project: "p", Branch: "b", Job: job, Order: order, Token: fencing.Token(token), Artifact: "artifact"}}, r.versions...)
}

// worker is a monkey whose moves a test makes.
type worker struct {
	*nodetest.Machine
	office  *office
	env     node.Env
	client  *patrickapi.Client
	holds   bool
	onHolds func() // before it answers
	asked   []monkeyapi.HoldsRequest
	offers  []patrickapi.Offer
}

func (w *worker) start(env node.Env) {
	w.env, w.client = env, patrickapi.NewClient(env.Wire)
	monkeyapi.Holds.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req monkeyapi.HoldsRequest) (monkeyapi.HoldsResponse, error) {
		w.asked = append(w.asked, req)
		if w.onHolds != nil {
			w.onHolds()
		}
		return monkeyapi.HoldsResponse{Holds: w.holds}, nil
	})
	hear := func(_ context.Context, _ transport.Peer, a patrickapi.Announcement) {
		w.offers = append(w.offers, a.Jobs...)
	}
	monkeyapi.Offer.Serve(env.Wire, hear)
	monkeyapi.Jobs.Subscribe(env.Wire, hear)
}

func (w *worker) do(f func(ctx context.Context)) {
	require.NoError(w.office, clock.Do(context.Background(), w.env.Loop, f))
}

func (w *worker) claim(job string) (g patrickapi.Grant, err error) {
	w.do(func(ctx context.Context) {
		g, err = w.client.Claim(ctx, patrickapi.ClaimRequest{Job: job, Holder: w.Peer(), Incarnation: w.env.Incarnation})
	})
	return g, err
}

// mustClaim is claim when it must succeed.
func (w *worker) mustClaim(job string) fencing.Token {
	g, err := w.claim(job)
	require.NoError(w.office, err)
	require.Equal(w.office, w.Peer(), g.Token.Holder)
	require.Equal(w.office, job, g.Job.ID)
	return g.Token
}

func (w *worker) renew(job string, t fencing.Token) (err error) {
	w.do(func(ctx context.Context) {
		_, err = w.client.Renew(ctx, patrickapi.RenewRequest{Job: job, Token: t})
	})
	return err
}

func (w *worker) finish(req patrickapi.FinishRequest) (resp patrickapi.FinishResponse, err error) {
	w.do(func(ctx context.Context) { resp, err = w.client.Finish(ctx, req) })
	return resp, err
}

// heard are the offers that have come since it was asked last.
func (w *worker) heard() (offers []patrickapi.Offer) {
	nodetest.Sleep(time.Millisecond) // what is on its way arrives
	w.do(func(context.Context) { offers, w.offers = w.offers, nil })
	return offers
}

// store adds content to the monkey's disk.
func (w *worker) store(text string) (root string) {
	w.do(func(ctx context.Context) {
		c, err := w.env.Blocks.Add(ctx, []byte(text))
		require.NoError(w.office, err)
		root = c.String()
	})
	return root
}

// aPush is a push of branch b, with an order as a patrick would have given it.
func aPush(commit string, order uint64) patrickapi.PushRequest {
	return patrickapi.PushRequest{
		Project: "p", Repository: "r", Branch: "b", Commit: commit, Tree: []byte("tree of " + commit),
		Event: patrickapi.Event{ID: "e-" + commit, Order: order},
	}
}

func jobOfPush(req patrickapi.PushRequest) string {
	return patrickapi.JobID(req.Repository, req.Branch, req.Commit, req.Event)
}

func (o *office) deliver(req patrickapi.PushRequest) (resp patrickapi.PushResponse, err error) {
	o.user.Do(func(ctx context.Context) { resp, err = o.client.Push(ctx, req) })
	return resp, err
}

// push delivers one that must be accepted, and returns its job.
func (o *office) push(req patrickapi.PushRequest) string {
	resp, err := o.deliver(req)
	require.NoError(o, err)
	require.Equal(o, patrickapi.PushResponse{Job: jobOfPush(req)}, resp)
	return resp.Job
}

func (o *office) cancel(job string) (resp patrickapi.CancelResponse, err error) {
	o.user.Do(func(ctx context.Context) { resp, err = o.client.Cancel(ctx, job) })
	return resp, err
}

func (o *office) rebuild(job string) (resp patrickapi.RebuildResponse, err error) {
	o.user.Do(func(ctx context.Context) { resp, err = o.client.Rebuild(ctx, job) })
	return resp, err
}

func (o *office) job(id string) (j patrickapi.Job) {
	o.user.Do(func(ctx context.Context) {
		var err error
		j, err = o.client.Job(ctx, id)
		require.NoError(o, err)
	})
	return j
}

func (o *office) logs(id string) (resp patrickapi.LogsResponse, err error) {
	o.user.Do(func(ctx context.Context) { resp, err = o.client.Logs(ctx, id) })
	return resp, err
}

func (o *office) event(req patrickapi.EventRequest) (order uint64, err error) {
	o.user.Do(func(ctx context.Context) {
		var e patrickapi.Event
		e, err = o.client.NewEvent(ctx, req.Project, req.Repository, req.Branch, "e", req.Seen)
		order = e.Order
	})
	return order, err
}

// ranked are the patricks in the order in which they are the coordinator of branch b.
func (o *office) ranked() (list []*nodetest.Machine) {
	for _, p := range rendezvous.Rank(patrickapi.BranchID("r", "b"), o.Directory.Peers("patrick")) {
		i := slices.IndexFunc(o.patricks, func(m *nodetest.Machine) bool { return m.Peer() == p })
		list = append(list, o.patricks[i])
	}
	return list
}

// turn runs f in a turn of a patrick.
func (o *office) turn(m *nodetest.Machine, f func(ctx context.Context, s *Service)) {
	s := m.Service("patrick").(*Service)
	require.NoError(o, clock.Do(context.Background(), s.env.Loop, func(ctx context.Context) { f(ctx, s) }))
}

// disksWith counts the patricks that would find a job in a state that fulfils want
// if the power failed now.
func (o *office) disksWith(job string, want func(s State) bool) (n int) {
	for _, m := range o.patricks {
		if want(stateOnDisk(m.Disk, job)) {
			n++
		}
	}
	return n
}

// disksHolding counts the patricks that would find content after a power cut.
func (o *office) disksHolding(root string) (n int) {
	c, err := cid.Decode(root)
	require.NoError(o, err)
	for _, m := range o.patricks {
		if _, err := blocks.OnDisk(m.Disk, c, patrickapi.TreeLenMax); err == nil {
			n++
		}
	}
	return n
}

func requireKind(t require.TestingT, want transport.Kind, err error, text string) {
	require.Equal(t, want, transport.KindOf(err), "%v", err)
	if err != nil {
		require.True(t, strings.Contains(err.Error(), text), "%q does not say %q", err, text)
	}
}

// Whatever a patrick answers that others rely on is on two disks by then: the
// power may fail everywhere the moment after.
func TestWhatIsAnsweredIsOnTwoDisks(t *testing.T) {
	var token fencing.Token
	kinds := []struct {
		name  string
		given func(o *office, job string)
		act   func(o *office, job string) error
		want  func(s State) bool
	}{
		{"push", nil, nil, func(s State) bool { return s.Status == patrickapi.Open }},
		{"claim", nil, func(o *office, job string) error {
			token = o.monkeys[0].mustClaim(job)
			return nil
		}, func(s State) bool { return s.Status == patrickapi.Locked && s.Top.Token == token }},
		{"claim once more", func(o *office, job string) { token = o.monkeys[0].mustClaim(job) }, func(o *office, job string) error {
			require.Equal(o, token, o.monkeys[0].mustClaim(job))
			return nil
		}, func(s State) bool { return s.Status == patrickapi.Locked && s.Top.Token == token }},
		{"failure", func(o *office, job string) { token = o.monkeys[0].mustClaim(job) }, func(o *office, job string) error {
			_, err := o.monkeys[0].finish(patrickapi.FinishRequest{Job: job, Token: token, Error: "broken"})
			return err
		}, func(s State) bool { return s.Failures == 1 && !s.Live }},
		{"success", func(o *office, job string) { token = o.monkeys[0].mustClaim(job) }, func(o *office, job string) error {
			_, err := o.monkeys[0].finish(patrickapi.FinishRequest{Job: job, Token: token, Success: true, Artifact: "a"})
			return err
		}, func(s State) bool { return s.Status == patrickapi.Success && s.Outcome.Artifact == "a" }},
		{"abandoned", func(o *office, job string) { token = o.monkeys[0].mustClaim(job) }, func(o *office, job string) error {
			_, err := o.monkeys[0].finish(patrickapi.FinishRequest{Job: job, Token: token, Abandoned: true})
			return err
		}, func(s State) bool { return s.Losses == 1 && s.Status == patrickapi.Open }},
		{"cancel of what waits", nil, func(o *office, job string) error {
			resp, err := o.cancel(job)
			require.Equal(o, patrickapi.Cancelled, resp.Status)
			return err
		}, func(s State) bool { return s.Status == patrickapi.Cancelled }},
		{"cancel of what is held", func(o *office, job string) { o.monkeys[0].mustClaim(job) }, func(o *office, job string) error {
			resp, err := o.cancel(job)
			require.Equal(o, patrickapi.Cancelled, resp.Status)
			return err
		}, func(s State) bool { return s.Status == patrickapi.Cancelled && s.FencedBelow == 2 }},
		{"rebuild", func(o *office, job string) {
			_, err := o.cancel(job)
			require.NoError(o, err)
		}, func(o *office, job string) error {
			resp, err := o.rebuild(job)
			require.Equal(o, patrickapi.RebuildResponse{Status: patrickapi.Open, Rebuilds: 1}, resp)
			return err
		}, func(s State) bool { return s.Status == patrickapi.Open && s.Rebuilds == 1 }},
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			inOffice(t, setup{patricks: 3}, func(o *office) {
				req := aPush("c", 1)
				job := o.push(req)
				if kind.act != nil {
					if kind.given != nil {
						kind.given(o, job)
					}
					require.NoError(t, kind.act(o, job))
				}
				require.GreaterOrEqual(t, o.disksWith(job, kind.want), 2)
				for _, m := range o.ranked() {
					require.Equal(t, stateOnDisk(m.Disk, job).job(job).Status, OnDisk(m.Disk, job).Status)
				}
				if s := stateOnDisk(o.ranked()[0].Disk, job); !s.Status.Final() {
					require.GreaterOrEqual(t, o.disksHolding(s.Spec.Source), 2, "the tree as well")
				}
			})
		})
	}
}

// Nobody to turn to: one disk has to do. Somebody who answers and cannot write: it
// has not.
func TestAPushIsAcknowledgedWithOneCopyOnlyIfNobodyElseIsThere(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		o.patricks[1].Vanish()
		o.push(aPush("alone", 1))
		acked := o.Facts("job-acked")
		require.Equal(t, 1, acked[len(acked)-1].Fields["copies"])
		o.patricks[1].Start()
		nodetest.Sleep(10 * time.Second)
		job := o.push(aPush("together", 2))
		acked = o.Facts("job-acked")
		require.Equal(t, 2, acked[len(acked)-1].Fields["copies"])
		require.Equal(t, 2, o.disksWith(job, func(s State) bool { return s.Status == patrickapi.Open }))
	})
}

// A coordinator that has become that of a job whose tree it never got keeps the tree of a
// further delivery before it acknowledges.
func TestADeliveryBringsTheTreeToWhoHasNone(t *testing.T) {
	inOffice(t, setup{patricks: 3}, func(o *office) {
		req := aPush("c", 1)
		job := o.push(req)
		third := o.ranked()[2]
		nodetest.Sleep(5 * time.Second)
		o.turn(third, func(_ context.Context, s *Service) {
			require.Equal(t, patrickapi.Open, s.Status(job))
			require.False(t, s.HasTree(job), "two keep it")
		})
		o.ranked()[0].Vanish()
		o.ranked()[1].Vanish()
		nodetest.Sleep(10 * time.Second)
		resp, err := o.deliver(req)
		require.NoError(t, err)
		require.True(t, resp.Duplicate)
		o.turn(third, func(_ context.Context, s *Service) { require.True(t, s.HasTree(job)) })
		source := stateOnDisk(third.Disk, job).Spec.Source
		require.Equal(t, 3, o.disksHolding(source), "also when the power fails")
		require.Len(t, o.Facts("job-accepted"), 1)
	})
}

// A patrick that was away when an attempt ended has the log and the tree of the job
// soon after it is back.
func TestWhoKeepsAJobFetchesWhatItMissed(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		away := o.ranked()[1]
		job := o.push(aPush("c", 1))
		token := o.monkeys[0].mustClaim(job)
		away.Vanish()
		log := o.monkeys[0].store("line\n")
		resp, err := o.monkeys[0].finish(patrickapi.FinishRequest{Job: job, Token: token, Error: "broken", Log: log})
		require.NoError(t, err)
		require.Equal(t, 1, resp.LogCopies)
		second := o.push(aPush("d", 2))
		away.Start()
		nodetest.Sleep(20 * time.Second)
		require.Equal(t, 2, o.disksHolding(log))
		require.Equal(t, 2, o.disksHolding(stateOnDisk(away.Disk, second).Spec.Source))
		o.ranked()[0].Vanish()
		o.monkeys[0].Vanish()
		nodetest.Sleep(5 * time.Second)
		told, err := o.logs(job)
		require.NoError(t, err)
		require.Equal(t, patrickapi.LogsResponse{Lines: []string{"line"}, Full: true}, told)
	})
}

func newRegistry() *registry { return &registry{fences: map[string]fencing.Token{}} }
