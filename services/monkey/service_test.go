package monkey

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
)

const lease = 9 * time.Second

// yard is one monkey, with a patrick, a tns and a hoarder that do what a test says.
type yard struct {
	*nodetest.Cloud
	monkey *nodetest.Machine
	// patrick is where jobs come from; coordinator answers for it.
	patrick     *nodetest.Machine
	coordinator node.Env
	tree        cid.Cid
	files       []patrickapi.File // of the tree, beside a

	claims, renews, finishes, fences, publishes, pins, opens steps
	grant                                                    func(g *patrickapi.Grant) // what patrick grants instead
	claimed                                                  []patrickapi.ClaimRequest
	open                                                     []patrickapi.Offer
	renewed                                                  []renewal
	asked                                                    int // for open jobs
	requests                                                 []Request
	finished                                                 []patrickapi.FinishRequest
	monkeys                                                  int
	fenced                                                   []tnsapi.FenceRequest
	published                                                []tnsapi.PublishRequest
	pinned                                                   []hoarderapi.PinRequest
	logged                                                   []patrickapi.LogNote
	logCopies                                                int

	build  func(ctx context.Context, loop clock.Loop, r Request) (Result, error)
	builds int
	// toolchain is what the builder says of each step beforehand, bundles what hoarders have: the content of artifacts.
	toolchain string
	bundles   [][]byte
	loop      clock.Loop // the monkey's
}

// renewal is a request for another lease, and when it came.
type renewal struct {
	at  time.Duration
	req patrickapi.RenewRequest
}

// steps is how a service answers: after a while, and with an error if there is one.
type steps struct {
	after time.Duration
	err   error
}

func (s *steps) take(ctx context.Context, loop clock.Loop) error {
	if s.after > 0 {
		if err := clock.Sleep(ctx, loop, s.after); err != nil {
			return err
		}
	}
	return s.err
}

// without are the services that a yard's cloud has not got.
type without struct{ tns, hoarder bool }

func inYard(t *testing.T, lacks without, change func(s *Settings), f func(y *yard)) {
	inYardWith(t, lacks, change, nil, f)
}

func inYardWith(t *testing.T, lacks without, change func(s *Settings), fetcher func(node.Env) Fetcher, f func(y *yard)) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		y := &yard{Cloud: c, logCopies: 1, build: func(ctx context.Context, loop clock.Loop, r Request) (Result, error) {
			r.Log("built")
			return Result{Artifact: []byte("artifact"), Entries: map[string]string{"b": "2", "a": "1"}}, clock.Sleep(ctx, loop, 2*time.Second)
		}}
		y.patrick = c.Add("patrick", node.Configured{Spec: nodetest.Part("patrick", y.startPatrick)}).Start()
		if !lacks.tns {
			c.Add("tns", node.Configured{Spec: nodetest.Part(tnsapi.Service, y.startTNS)}).Start()
		}
		if !lacks.hoarder {
			c.Add("hoarder", node.Configured{Spec: nodetest.Part(hoarderapi.Service, y.startHoarder)}).Start()
		}
		settings := DefaultSettings()
		settings.PollInterval, settings.RaceWindow = time.Hour, 0
		if change != nil {
			change(settings)
		}
		spec := Spec(func(env node.Env) Builder {
			y.loop = env.Loop
			return y
		}, fetcher)
		y.monkey = c.Add("monkey", node.Configured{Spec: spec, Settings: settings}).Start()
		f(y)
	})
}

// Build implements Builder.
func (y *yard) Build(ctx context.Context, r Request) (Result, error) {
	y.builds++
	y.requests = append(y.requests, r)
	return y.build(ctx, y.loop, r)
}

// Toolchain implements Toolchains.
func (y *yard) Toolchain(context.Context, build.Step) (string, error) { return y.toolchain, nil }

func (y *yard) startPatrick(env node.Env) {
	y.coordinator = env
	patrickapi.Claim.Serve(env.Wire, func(ctx context.Context, from transport.Peer, req patrickapi.ClaimRequest) (patrickapi.Grant, error) {
		y.claimed = append(y.claimed, req)
		g := patrickapi.Grant{
			Job:   patrickapi.Job{ID: req.Job, Project: "p", Repository: "r", Branch: "b", Commit: "c", Source: y.tree.String(), Order: 7},
			Token: fencing.Token{Attempt: 3, Holder: from}, Lease: lease, BuildMax: time.Minute,
		}
		if y.grant != nil {
			y.grant(&g)
		}
		return g, y.claims.take(ctx, env.Loop)
	})
	patrickapi.Renew.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, req patrickapi.RenewRequest) (patrickapi.RenewResponse, error) {
		y.renewed = append(y.renewed, renewal{env.Loop.Elapsed(), req})
		return patrickapi.RenewResponse{}, y.renews.take(ctx, env.Loop)
	})
	patrickapi.Finish.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, req patrickapi.FinishRequest) (patrickapi.FinishResponse, error) {
		y.finished = append(y.finished, req)
		return patrickapi.FinishResponse{Status: patrickapi.Success, LogCopies: y.logCopies}, y.finishes.take(ctx, env.Loop)
	})
	patrickapi.OpenJobs.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ patrickapi.OpenRequest) (patrickapi.Announcement, error) {
		y.asked++
		return patrickapi.Announcement{Jobs: y.open, Monkeys: y.monkeys}, y.opens.take(ctx, env.Loop)
	})
	patrickapi.Log.Serve(env.Wire, func(_ context.Context, _ transport.Peer, n patrickapi.LogNote) { y.logged = append(y.logged, n) })
}

func (y *yard) startTNS(env node.Env) {
	tnsapi.Fence.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, req tnsapi.FenceRequest) (tnsapi.FenceResponse, error) {
		y.fenced = append(y.fenced, req)
		return tnsapi.FenceResponse{Copies: 1}, y.fences.take(ctx, env.Loop)
	})
	tnsapi.Publish.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, req tnsapi.PublishRequest) (tnsapi.PublishResponse, error) {
		y.published = append(y.published, req)
		return tnsapi.PublishResponse{Copies: 1}, y.publishes.take(ctx, env.Loop)
	})
	live := func() (tnsapi.PublishRequest, tnsapi.Version, error) {
		if len(y.published) == 0 {
			return tnsapi.PublishRequest{}, tnsapi.Version{}, failing(transport.NotFound)
		}
		p := y.published[len(y.published)-1]
		return p, tnsapi.Version{Project: p.Project, Branch: p.Branch, Artifact: p.Artifact, Order: p.Order}, nil
	}
	tnsapi.Current.Serve(env.Wire, func(context.Context, transport.Peer, tnsapi.BranchRequest) (tnsapi.Version, error) {
		_, v, err := live()
		return v, err
	})
	tnsapi.Lookup.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req tnsapi.LookupRequest) (resp tnsapi.LookupResponse, err error) {
		p, v, err := live()
		resp.Version = v
		for _, e := range p.Entries {
			if strings.HasPrefix(e.Path, req.Prefix+"/") {
				resp.Entries = append(resp.Entries, e)
			}
		}
		return resp, err
	})
}

func (y *yard) startHoarder(env node.Env) {
	hoarderapi.Pin.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, req hoarderapi.PinRequest) (hoarderapi.PinResponse, error) {
		y.pinned = append(y.pinned, req)
		return hoarderapi.PinResponse{Copies: 2}, y.pins.take(ctx, env.Loop)
	})
	hoarderapi.Locate.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, req hoarderapi.RootRequest) (resp hoarderapi.LocateResponse, err error) {
		for _, bundle := range y.bundles {
			root, err := env.Blocks.Add(ctx, bundle)
			if err == nil && root.String() == req.Root {
				resp.Holders = append(resp.Holders, env.Self)
			}
		}
		return resp, nil
	})
}

// job is the id of the nth job.
func job(n int) string {
	return patrickapi.JobID("r", "b", "c", patrickapi.Event{ID: fmt.Sprint(n), Order: uint64(n)})
}

// atCoordinator runs f as a task of patrick.
func (y *yard) atCoordinator(f func(ctx context.Context)) {
	require.NoError(y, clock.Do(context.Background(), y.coordinator.Loop, f))
}

// offer tells the monkey of jobs, whose tree patrick has.
func (y *yard) offer(jobs ...string) {
	y.atCoordinator(func(ctx context.Context) {
		var err error
		y.tree, err = y.coordinator.Blocks.Add(ctx, patrickapi.Tree{Files: append([]patrickapi.File{{Path: "a", Data: []byte("1")}}, y.files...)}.Encode())
		require.NoError(y, err)
		var a patrickapi.Announcement
		for _, id := range jobs {
			a.Jobs = append(a.Jobs, patrickapi.Offer{Job: id, Attempt: 3})
		}
		require.NoError(y, monkeyapi.Offer.Tell(y.coordinator.Wire, y.monkey.Peer(), a))
	})
}

// incarnation is which life of the monkey this is, from 1.
func (y *yard) incarnation() (n uint64) {
	y.turn(func(s *Service) { n = s.env.Incarnation })
	require.NotZero(y, n)
	return n
}

// turn runs f in a turn of the monkey.
func (y *yard) turn(f func(s *Service)) {
	s := y.monkey.Service("monkey").(*Service)
	require.NoError(y, clock.Do(context.Background(), s.env.Loop, func(context.Context) { f(s) }))
}

func (y *yard) holding() (list []Held) {
	y.turn(func(s *Service) { list = s.Holding() })
	return list
}

func (y *yard) stored() (n int) {
	y.turn(func(s *Service) { n = s.Stored() })
	return n
}

func (y *yard) reasons() (list []any) {
	for _, f := range y.Facts("lock-lost") {
		list = append(list, f.Fields["reason"])
	}
	return list
}

func failing(kind transport.Kind) error { return transport.New(kind, "test", "as told") }

// A job goes from the offer to the report in the order that makes it safe, with the
// same token everywhere, and leaves nothing behind.
func TestAJobFromOfferToReport(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.offer(job(1))
		nodetest.Sleep(time.Second)
		require.Equal(t, []patrickapi.ClaimRequest{{Job: job(1), Holder: y.monkey.Peer(), Incarnation: y.incarnation()}}, y.claimed)
		token := fencing.Token{Attempt: 3, Holder: y.monkey.Peer()}
		require.Equal(t, []tnsapi.FenceRequest{{Project: "p", Branch: "b", Job: job(1), Token: token}}, y.fenced, "before it builds")
		require.Equal(t, 1, y.builds)
		require.Len(t, y.holding(), 1)
		require.Empty(t, y.pinned)
		nodetest.Sleep(2 * time.Second)
		artifact := y.published[0].Artifact
		require.Equal(t, []hoarderapi.PinRequest{{
			Root: artifact, Kind: hoarderapi.Asset, Size: int64(len("artifact")), Holders: []transport.Peer{y.monkey.Peer()},
			Owner: tnsapi.ArtifactOwner(job(1)), Seq: 3, For: tnsapi.PinFor,
		}}, y.pinned)
		require.Equal(t, []tnsapi.PublishRequest{{
			Project: "p", Branch: "b", Commit: "c", Job: job(1), Order: 7, Token: token, Artifact: artifact,
			Entries: []tnsapi.Entry{{Path: "a", Value: []byte("1")}, {Path: "b", Value: []byte("2")}},
		}}, y.published)
		require.Len(t, y.finished, 1)
		require.NotEmpty(t, y.finished[0].Log)
		require.Equal(t, patrickapi.FinishRequest{
			Job: job(1), Token: token, Success: true, Published: true, Artifact: artifact, Log: y.finished[0].Log, LogSize: int64(len("built\n")),
		}, y.finished[0])
		require.Equal(t, []patrickapi.LogNote{{Job: job(1), Token: token, Lines: []string{"built"}}}, y.logged)
		require.Empty(t, y.holding())
		require.Empty(t, y.reasons())
		require.Zero(t, y.stored())
		for _, name := range []string{"lock-taken", "build-started", "build-ended", "build-done", "artifact-kept", "published", "outcome-reported"} {
			require.Len(t, y.Facts(name), 1, name)
		}
		y.turn(func(s *Service) { require.Empty(t, s.held, s.racing) })
	})
}

// A holder counts its lease from when it sent what patrick granted, however late the
// answer comes: patrick counts from a later moment.
func TestALeaseIsCountedFromTheRequest(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.build = forever
		y.claims.after = 2 * time.Second
		y.offer(job(1))
		nodetest.Sleep(time.Second)
		require.Empty(t, y.holding())
		for len(y.holding()) == 0 {
			nodetest.Sleep(time.Millisecond)
		}
		require.GreaterOrEqual(t, y.holding()[0].Renewed, 2*time.Second, "when it has just got it")
		y.renews.after = 2 * time.Second
		last := y.holding()[0].Renewed
		for range 8 { // renewals, 5 seconds each: a build may take a minute
			for y.holding()[0].Renewed >= last {
				last = y.holding()[0].Renewed
				nodetest.Sleep(time.Millisecond)
			}
			last = y.holding()[0].Renewed
			require.GreaterOrEqual(t, last, 2*time.Second)
			require.Less(t, last, 2*time.Second+10*time.Millisecond)
		}
	})
	inYard(t, without{}, nil, func(y *yard) { // an answer that takes longer than the lease is worth nothing
		y.claims.after = 4900 * time.Millisecond
		y.offer(job(1))
		nodetest.Sleep(6 * time.Second)
		require.Len(t, y.Facts("lock-taken"), 1)
		lost := &lock{lease: lease, renewedAt: 0}
		require.True(t, lost.valid(lease-1))
		require.False(t, lost.valid(lease))
	})
}

// Who cannot renew stops when the lease ends, by itself, and nothing comes of it.
func TestAHolderStopsWhenItsLeaseEnds(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.build = func(ctx context.Context, loop clock.Loop, _ Request) (Result, error) {
			return Result{}, clock.Sleep(ctx, loop, 40*time.Second)
		}
		y.offer(job(1))
		nodetest.Sleep(30 * time.Second)
		require.Len(t, y.holding(), 1, "it is renewed")
		require.LessOrEqual(t, y.holding()[0].Renewed, lease/3+time.Millisecond)
		y.renews.err = failing(transport.Internal)
		nodetest.Sleep(lease - lease/3 - time.Second)
		require.Len(t, y.holding(), 1)
		for len(y.holding()) > 0 {
			require.Less(t, y.holding()[0].Renewed, lease)
			nodetest.Sleep(100 * time.Millisecond)
		}
		nodetest.Sleep(time.Second)
		require.Equal(t, []any{"the lease has ended"}, y.reasons())
		require.Empty(t, y.published)
		require.Equal(t, patrickapi.FinishRequest{Job: job(1), Token: y.finished[0].Token, Abandoned: true}, y.finished[0])
		require.Len(t, y.finished, 1)
		require.Zero(t, y.stored())
		y.turn(func(s *Service) { require.Empty(t, s.held) })
	})
}

// A refusal ends the lock at once, silence does not.
func TestARefusedRenewalEndsTheLock(t *testing.T) {
	for kind, ends := range map[transport.Kind]bool{
		transport.Conflict: true, transport.Invalid: true, transport.NotFound: false, transport.Internal: false, transport.Timeout: false,
	} {
		inYard(t, without{}, nil, func(y *yard) {
			y.build = forever
			y.renews.err = failing(kind)
			y.offer(job(1))
			nodetest.Sleep(lease/3 + time.Second)
			require.Equal(t, ends, len(y.holding()) == 0, kind)
		})
	}
}

func forever(ctx context.Context, loop clock.Loop, _ Request) (Result, error) {
	return Result{}, clock.Sleep(ctx, loop, time.Hour)
}

func TestHowAnAttemptIsReported(t *testing.T) {
	conflict := failing(transport.Conflict)
	for name, c := range map[string]struct {
		given     func(y *yard)
		wait      time.Duration
		want      patrickapi.FinishRequest // but for what all have
		builds    int
		published int
	}{
		"a mishap":               {func(y *yard) { y.fails(errors.New("out of luck")) }, time.Second, patrickapi.FinishRequest{Error: "out of luck"}, 1, 0},
		"the pusher's own fault": {func(y *yard) { y.fails(UserError("nonsense")) }, time.Second, patrickapi.FinishRequest{Error: "nonsense", Permanent: true}, 1, 0},
		"fenced by nonsense":     {func(y *yard) { y.fences.err = failing(transport.Invalid) }, time.Second, patrickapi.FinishRequest{Error: "test: invalid: as told"}, 0, 0},
		"refused by tns, and patrick is silent": {func(y *yard) { y.publishes.err, y.renews.err = conflict, failing(transport.Internal) }, 3 * time.Second,
			patrickapi.FinishRequest{Error: "test: conflict: as told"}, 1, 1},
		"no tree": {func(y *yard) { y.grant = func(g *patrickapi.Grant) { g.Job.Source = "x" } }, time.Second,
			patrickapi.FinishRequest{Error: "the job has no tree: invalid cid: cid too short", Permanent: true}, 0, 0},
		"too long": {func(y *yard) { y.build = forever }, 65 * time.Second,
			patrickapi.FinishRequest{Error: "the build took longer than 1m0s"}, 1, 0},
		"fenced by a newer one": {func(y *yard) { y.fences.err = conflict }, time.Second, patrickapi.FinishRequest{Error: "test: conflict: as told"}, 0, 0},
		"the branch has moved on": {func(y *yard) { y.publishes.err = conflict }, 3 * time.Second,
			patrickapi.FinishRequest{Success: true, Artifact: "?"}, 1, 1},
		"refused, and no patrick says that it still holds": {func(y *yard) { y.publishes.err, y.renews.err = conflict, failing(transport.Internal) }, 4 * time.Second,
			patrickapi.FinishRequest{Error: "test: conflict: as told"}, 1, 1},
		"the artifact was let go": {func(y *yard) { y.pins.err = conflict }, 3 * time.Second, patrickapi.FinishRequest{Success: true, Artifact: "?"}, 1, 0},
		"no room": {func(y *yard) { y.pins.err = failing(transport.Refused) }, 3*time.Second + refusedRetryMax,
			patrickapi.FinishRequest{Error: "test: refused: as told"}, 1, 0},
		"no hoarder answers": {func(y *yard) { y.pins.err = failing(transport.Internal) }, 4*time.Second + retryMax,
			patrickapi.FinishRequest{Error: "test: internal: as told"}, 1, 0},
		"tns is silent": {func(y *yard) { y.publishes.err = failing(transport.Internal) }, 4*time.Second + retryMax,
			patrickapi.FinishRequest{Error: "tns/publish: unreachable: test: internal: as told"}, 1, 61},
	} {
		t.Run(name, func(t *testing.T) {
			inYard(t, without{}, nil, func(y *yard) {
				c.given(y)
				y.offer(job(1))
				nodetest.Sleep(c.wait)
				require.Len(t, y.finished, 1)
				got := y.finished[0]
				require.NotEmpty(t, got.Log)
				if c.want.Artifact != "" {
					require.NotEmpty(t, got.Artifact)
					got.Artifact = c.want.Artifact
				}
				want := c.want
				want.Job, want.Token, want.Log = job(1), fencing.Token{Attempt: 3, Holder: y.monkey.Peer()}, got.Log
				for _, line := range y.allLogged() {
					want.LogSize += int64(len(line) + 1)
				}
				require.Equal(t, want, got)
				require.Equal(t, c.builds, y.builds)
				require.Len(t, y.published, c.published)
				require.Len(t, y.Facts("published"), 0)
				require.Equal(t, y.pins.err == nil && got.Artifact != "" || c.published > 0, len(y.Facts("artifact-kept")) == 1)
				require.Len(t, y.Facts("build-ended"), c.builds)
				for _, f := range y.Facts("build-ended") {
					require.Equal(t, len(y.Facts("build-done")) == 1, f.Fields["success"])
				}
				require.Zero(t, y.stored())
				require.Empty(t, y.holding())
			})
		})
	}
}

// allLogged are the lines that were streamed, which must come without a gap.
func (y *yard) allLogged() (lines []string) {
	for _, note := range y.logged {
		require.Equal(y, len(lines), note.First)
		lines = append(lines, note.Lines...)
	}
	return lines
}

func (y *yard) fails(err error) {
	y.build = func(context.Context, clock.Loop, Request) (Result, error) { return Result{}, err }
}

// The last line of a failed attempt's log says why, for whoever reads it.
func TestTheLogOfAFailure(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.fails(errors.New("out of luck"))
		y.finishes.after = time.Second
		y.offer(job(1))
		nodetest.Sleep(500 * time.Millisecond)
		root, err := cid.Decode(y.finished[0].Log)
		require.NoError(t, err)
		y.atCoordinator(func(ctx context.Context) {
			require.NoError(t, y.coordinator.Blocks.Fetch(ctx, root, []transport.Peer{y.monkey.Peer()}, logLenMax), "patrick takes it meanwhile")
			text, err := y.coordinator.Blocks.Read(ctx, root, logLenMax)
			require.NoError(t, err)
			require.Equal(t, "failed: out of luck\n", string(text))
		})
		require.Equal(t, []string{"failed: out of luck"}, y.logged[len(y.logged)-1].Lines)
	})
}

// A report is repeated until it is heard; the log is kept until somebody has it; a
// publication is told after the lease as well.
func TestReportsAreRepeated(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.finishes.err = failing(transport.Internal)
		y.offer(job(1))
		nodetest.Sleep(10*time.Second + retryWait/2) // between two reports
		require.Greater(t, len(y.finished), 5)
		y.renews.err = failing(transport.Internal)
		nodetest.Sleep(time.Minute)
		y.finished, y.finishes.err = nil, nil
		nodetest.Sleep(2 * time.Second)
		require.Len(t, y.finished, 1, "long after the lease")
		require.True(t, y.finished[0].Published)
		require.Len(t, y.Facts("outcome-reported"), 1)
	})
	inYard(t, without{}, nil, func(y *yard) {
		y.logCopies = 0
		y.offer(job(1))
		nodetest.Sleep(2500*time.Millisecond + logFor/2)
		require.Greater(t, len(y.finished), 5, "nobody has the log")
		require.Positive(t, y.stored())
		y.logCopies, y.finished = 1, nil
		nodetest.Sleep(2 * time.Second)
		require.Len(t, y.finished, 1)
		require.Zero(t, y.stored())
	})
	inYard(t, without{}, nil, func(y *yard) {
		y.logCopies = 0
		y.offer(job(1))
		nodetest.Sleep(5*time.Second + logFor)
		require.Len(t, y.Facts("outcome-reported"), 1, "it does not wait for ever")
		require.Len(t, y.finished, int(logFor/retryWait)+1)
	})
	inYard(t, without{}, nil, func(y *yard) { // a failure is of no interest after the lease
		y.fails(errors.New("out of luck"))
		y.finishes.err, y.renews.err = failing(transport.Internal), failing(transport.Internal)
		y.offer(job(1))
		nodetest.Sleep(lease + 3*time.Second)
		require.Equal(t, []any{"the lease has ended"}, y.reasons())
		last := y.finished[len(y.finished)-1]
		require.True(t, last.Abandoned)
		told := len(y.finished)
		nodetest.Sleep(time.Minute)
		require.Len(t, y.finished, told)
	})
	for _, kind := range []transport.Kind{transport.Conflict, transport.Invalid} {
		inYard(t, without{}, nil, func(y *yard) { // a refusal is the last word
			y.finishes.err = failing(kind)
			y.offer(job(1))
			nodetest.Sleep(time.Minute)
			require.Len(t, y.finished, 1)
			require.Len(t, y.reasons(), 1)
		})
	}
	inYard(t, without{}, nil, func(y *yard) { // a publication, each second, until ten minutes after the lease that it had
		y.finishes.err = failing(transport.Internal)
		y.offer(job(1))
		nodetest.Sleep(15 * time.Minute)
		require.Len(t, y.finished, int((lease+reportFor-2*time.Second)/retryWait))
		require.Zero(t, y.stored())
	})
	inYard(t, without{}, nil, func(y *yard) { // the lease as it was renewed last, every third of it
		y.build = func(ctx context.Context, loop clock.Loop, _ Request) (Result, error) {
			return Result{Artifact: []byte("x")}, clock.Sleep(ctx, loop, 31*time.Second)
		}
		y.finishes.err = failing(transport.Internal)
		y.offer(job(1))
		nodetest.Sleep(15 * time.Minute)
		require.InDelta(t, int((lease+reportFor)/retryWait), len(y.finished), 3)
	})
}

// No more jobs are held than there are slots; what was offered meanwhile is raced for
// when a slot is free, and a repeated offer changes nothing.
func TestSlotsAreKept(t *testing.T) {
	inYard(t, without{}, func(s *Settings) { s.Slots = 2 }, func(y *yard) {
		y.build = func(ctx context.Context, loop clock.Loop, _ Request) (Result, error) {
			return Result{Artifact: []byte("x")}, clock.Sleep(ctx, loop, 5*time.Second)
		}
		y.offer(job(1), job(2), job(3), job(1), "no job")
		y.offer(job(1), job(3), job(4))
		nodetest.Sleep(time.Second)
		require.Len(t, y.claimed, 2)
		var status monkeyapi.StatusResponse
		y.atCoordinator(func(ctx context.Context) {
			var err error
			status, err = monkeyapi.Status.Call(ctx, y.coordinator.Wire, y.monkey.Peer(), monkeyapi.StatusRequest{})
			require.NoError(t, err)
			for id, held := range map[string]bool{job(1): true, job(2): true, job(3): false} {
				resp, err := monkeyapi.Holds.Call(ctx, y.coordinator.Wire, y.monkey.Peer(), monkeyapi.HoldsRequest{Job: id, Token: fencing.Token{Attempt: 3, Holder: y.monkey.Peer()}})
				require.NoError(t, err)
				require.Equal(t, held, resp.Holds)
			}
			resp, err := monkeyapi.Holds.Call(ctx, y.coordinator.Wire, y.monkey.Peer(), monkeyapi.HoldsRequest{Job: job(1), Token: fencing.Token{Attempt: 2, Holder: y.monkey.Peer()}})
			require.NoError(t, err)
			require.False(t, resp.Holds)
		})
		require.Equal(t, 2, status.Slots)
		require.Len(t, status.Work, 2)
		require.Equal(t, "build", status.Work[0].Phase)
		require.InDelta(t, time.Second, status.Work[0].For, float64(300*time.Millisecond))
		y.turn(func(s *Service) {
			require.Zero(t, s.free())
			require.Len(t, s.backlog, 2)
		})
		nodetest.Sleep(6 * time.Second)
		require.Len(t, y.claimed, 4)
		nodetest.Sleep(6 * time.Second)
		require.Len(t, y.Facts("outcome-reported"), 4)
		y.turn(func(s *Service) { require.Equal(t, 2, s.free()) })
	})
}

func TestTheBacklogIsBounded(t *testing.T) {
	inYard(t, without{}, func(s *Settings) { s.Slots = 1 }, func(y *yard) {
		y.build = forever
		y.offer(job(1))
		nodetest.Sleep(time.Second)
		for i := range 2 * backlogLenMax {
			y.offer(job(i + 2))
		}
		nodetest.Sleep(time.Second)
		y.turn(func(s *Service) {
			require.Len(t, s.backlog, backlogLenMax)
			require.True(t, s.busyLately)
		})
	})
}

// A monkey that stops says so: others need not wait for its leases.
func TestAMonkeyThatStopsAbandons(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.build = forever
		y.offer(job(1), job(2))
		nodetest.Sleep(time.Second)
		require.Len(t, y.holding(), 2)
		y.monkey.Stop()
		told := map[string]bool{}
		for _, f := range y.finished {
			require.Equal(t, patrickapi.FinishRequest{Job: f.Job, Token: fencing.Token{Attempt: 3, Holder: y.monkey.Peer()}, Abandoned: true}, f)
			told[f.Job] = true
		}
		require.Len(t, told, 2)
		require.Equal(t, []any{"the monkey stops", "the monkey stops"}, y.reasons())
	})
}

// A job that nobody offers is found by asking.
func TestAMonkeyAsksForJobs(t *testing.T) {
	inYard(t, without{}, func(s *Settings) { s.PollInterval, s.Slots = 10*time.Second, 8 }, func(y *yard) {
		y.build = forever
		y.offer()
		for i := range 6 {
			y.open = append(y.open, patrickapi.Offer{Job: job(i + 1), Attempt: 1})
		}
		nodetest.Sleep(7 * time.Second)
		require.Empty(t, y.claimed)
		nodetest.Sleep(6 * time.Second)
		require.Len(t, y.claimed, raceTriesMax)
		y.turn(func(s *Service) { require.Equal(t, 10*time.Second, s.pollInterval()) })
	})
}

// Without tns nobody publishes and nobody fences; without hoarders the monkey keeps
// the last artifacts itself.
func TestACloudWithoutTheOthers(t *testing.T) {
	inYard(t, without{tns: true}, nil, func(y *yard) {
		y.offer(job(1))
		nodetest.Sleep(4 * time.Second)
		require.Len(t, y.finished, 1)
		require.True(t, y.finished[0].Success)
		require.False(t, y.finished[0].Published)
		require.Zero(t, y.pinned[0].For, "nobody says what is needed no more")
	})
	inYard(t, without{hoarder: true}, nil, func(y *yard) {
		n := 0
		y.build = func(context.Context, clock.Loop, Request) (Result, error) {
			n++
			return Result{Artifact: fmt.Appendf(nil, "artifact %d", n)}, nil
		}
		for i := range artifactsMax + 2 {
			y.offer(job(i + 1))
			nodetest.Sleep(time.Second)
			require.Len(t, y.finished, i+1)
			require.Equal(t, min(i+1, artifactsMax), y.stored())
		}
		y.monkey.Stop()
		y.monkey.Start()
		require.Equal(t, artifactsMax, y.stored(), "also after a restart")
		y.finished = nil
		y.offer(job(1))
		nodetest.Sleep(time.Second)
		require.Len(t, y.finished, 1)
		require.Equal(t, artifactsMax, y.stored(), "those of an earlier life count")
		y.turn(func(s *Service) {
			oldest, other := s.kept[0], s.kept[3]
			s.keepArtifact(other)
			require.Equal(t, 1, s.uses[other], "it is kept already")
			s.keepArtifact(y.tree)
			require.NotContains(t, s.uses, oldest)
			require.NotContains(t, s.kept, oldest)
		})
	})
}

// What an earlier life has left is let go of.
func TestARestartedMonkeyHasNothing(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.build = forever
		y.offer(job(1))
		nodetest.Sleep(time.Second)
		require.Equal(t, 1, y.stored(), "the tree")
		require.NoError(t, clock.Do(context.Background(), y.loop, func(ctx context.Context) {
			require.NoError(t, y.monkey.Service("monkey").(*Service).env.Blocks.Sync(ctx))
		}))
		y.monkey.Vanish()
		y.monkey.Start()
		require.Zero(t, y.stored())
		require.Empty(t, y.holding())
	})
}

// A tree that is no tree is the pusher's own fault; one that cannot be had is not.
func TestTreesThatCannotBeBuilt(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.offer()
		y.atCoordinator(func(ctx context.Context) {
			var err error
			y.tree, err = y.coordinator.Blocks.Add(ctx, []byte("no tree"))
			require.NoError(t, err)
			require.NoError(t, monkeyapi.Offer.Tell(y.coordinator.Wire, y.monkey.Peer(), patrickapi.Announcement{Jobs: []patrickapi.Offer{{Job: job(1)}}}))
		})
		nodetest.Sleep(time.Second)
		require.Len(t, y.finished, 1)
		require.True(t, y.finished[0].Permanent)
		require.Zero(t, y.builds)
	})
	inYard(t, without{}, nil, func(y *yard) {
		y.offer()
		y.atCoordinator(func(ctx context.Context) {
			require.NoError(t, y.coordinator.Blocks.Remove(y.tree))
			require.NoError(t, monkeyapi.Offer.Tell(y.coordinator.Wire, y.monkey.Peer(), patrickapi.Announcement{Jobs: []patrickapi.Offer{{Job: job(1)}}}))
		})
		nodetest.Sleep(retryMax + 15*time.Second)
		require.Len(t, y.finished, 1)
		require.False(t, y.finished[0].Permanent)
		require.False(t, y.finished[0].Success)
		require.Contains(t, y.finished[0].Error, "not found")
		require.Zero(t, y.builds)
		require.Zero(t, y.stored())
	})
	inYard(t, without{}, nil, func(y *yard) {
		y.grant = func(g *patrickapi.Grant) { g.Job.Source = y.tree.String() }
		y.offer()
		y.atCoordinator(func(ctx context.Context) {
			var err error
			y.tree, err = y.coordinator.Blocks.Add(ctx, make([]byte, patrickapi.TreeLenMax+1))
			require.NoError(t, err)
			require.NoError(t, monkeyapi.Offer.Tell(y.coordinator.Wire, y.monkey.Peer(), patrickapi.Announcement{Jobs: []patrickapi.Offer{{Job: job(1)}}}))
		})
		nodetest.Sleep(3 * time.Second)
		require.Len(t, y.finished, 1)
		require.False(t, y.finished[0].Permanent, "no patrick has accepted that one: it was not pushed")
		require.Zero(t, y.builds)
	})
}

// TestALogIsSeenWhenItIsToBe: a builder that is silent for long lets others see what it has said before.
func TestALogIsSeenWhenItIsToBe(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.build = func(ctx context.Context, loop clock.Loop, r Request) (Result, error) {
			r.Log("this takes long")
			r.Flush()
			return Result{}, errors.Join(clock.Sleep(ctx, loop, 20*time.Second), UserError("a.go:1: one\na.go:2: two"))
		}
		y.offer(job(1))
		nodetest.Sleep(3 * time.Second)
		require.Len(t, y.logged, 1)
		require.Equal(t, []string{"this takes long"}, y.logged[0].Lines)
		nodetest.Sleep(2 * time.Minute)
		require.Equal(t, []string{"failed: a.go:1: one", "a.go:2: two"}, y.logged[1].Lines, "an error keeps its lines")
	})
}

func TestLogbooksAreBounded(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.turn(func(s *Service) {
			b := s.newLogbook(&lock{job: patrickapi.Job{ID: job(1)}})
			b.line("a\nb")
			b.line(strings.Repeat("x", 2*patrickapi.LogLineLenMax))
			require.Equal(t, "a b", b.lines[0])
			require.Len(t, b.lines[1], patrickapi.LogLineLenMax)
			require.Zero(t, b.sent)
			b.line("")
			b.line("")
			require.Equal(t, 4, b.sent)
			b.line("")
			require.Equal(t, 4, b.sent, "lines travel together")
			for range 2 * logLenMax / patrickapi.LogLineLenMax {
				b.line(strings.Repeat("x", patrickapi.LogLineLenMax))
			}
			size := 0
			for _, l := range b.lines {
				size += len(l) + 1
			}
			require.LessOrEqual(t, size, logLenMax)
			require.Greater(t, size, logLenMax-2*patrickapi.LogLineLenMax)
			b.flush()
			require.Equal(t, len(b.lines), b.sent)

			full := s.newLogbook(&lock{})
			for range logLenMax / (patrickapi.LogLineLenMax + 1) {
				full.line(strings.Repeat("x", patrickapi.LogLineLenMax))
			}
			full.line("") // to the last byte
			require.Equal(t, logLenMax, full.size)
			full.line("")
			require.Len(t, full.lines, logLenMax/(patrickapi.LogLineLenMax+1)+1)
		})
		nodetest.Sleep(time.Second)
		y.logged = nil
		y.turn(func(s *Service) {
			b := s.newLogbook(&lock{job: patrickapi.Job{ID: job(1)}})
			b.lines = make([]string, 2*patrickapi.LogLinesMax+2)
			b.flush()
		})
		nodetest.Sleep(time.Second)
		require.Len(t, y.allLogged(), 2*patrickapi.LogLinesMax+2)
		require.Len(t, y.logged[0].Lines, patrickapi.LogLinesMax)
	})
}

// Claims are spread over the whole window, the best-ranked job comes first, and monkeys ask less often where
// there are many.
func TestClaimsAreSpread(t *testing.T) {
	inYard(t, without{}, func(s *Settings) { s.RaceWindow = 800 * time.Millisecond }, func(y *yard) {
		y.turn(func(s *Service) {
			eighths := map[time.Duration]int{}
			for i := range 400 {
				d := s.delay(patrickapi.Offer{Job: job(i)})
				require.True(t, d >= 0 && d <= 800*time.Millisecond)
				eighths[d/(100*time.Millisecond)]++
			}
			for i := range 8 {
				require.InDelta(t, 50, eighths[time.Duration(i)], 25)
			}
			offers := s.favourites([]patrickapi.Offer{{Job: job(1)}, {Job: job(2)}, {Job: job(3)}, {Job: job(4)}, {Job: job(5)}, {Job: job(6)}})
			require.Len(t, offers, raceTriesMax)
			for i := range offers[1:] {
				require.LessOrEqual(t, s.delay(offers[i]), s.delay(offers[i+1]))
			}
			s.settings.PollInterval = time.Second
			require.Equal(t, time.Second, s.pollInterval())
			s.monkeys = 16
			require.Equal(t, 1600*time.Millisecond, s.pollInterval(), "ten polls a second of all together")
		})
		y.monkeys = 1 << 30
		y.do(func(ctx context.Context, s *Service) { s.poll(ctx) })
		y.turn(func(s *Service) { require.Equal(t, monkeysMax, s.monkeys, "no patrick makes it ask never") })
	})
}

// An offer of what a monkey holds already is none: the coordinator would grant the same
// attempt to it once more.
func TestWhatIsHeldIsNotClaimedAgain(t *testing.T) {
	inYard(t, without{}, func(s *Settings) { s.Slots = 3 }, func(y *yard) {
		y.build = forever
		y.offer(job(1))
		nodetest.Sleep(2 * time.Second)
		y.offer(job(1))
		y.offer(job(1))
		nodetest.Sleep(5 * time.Second)
		require.Len(t, y.claimed, 1)
		require.Equal(t, 1, y.builds)
	})
}
