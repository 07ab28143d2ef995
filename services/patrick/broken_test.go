package patrick

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
)

// refuse has a disk refuse an operation on what is below a place.
func refuse(m *nodetest.Machine, op memdisk.Op, below string) {
	m.Disk.SetFaults(memdisk.Faults{Fail: func(o memdisk.Op, key string) error {
		if o == op && strings.HasPrefix(key, below) {
			return errors.New("the disk refuses")
		}
		return nil
	}})
}

// refuseRecords has the replica of a patrick take nothing any more: there is
// something already that it could not write.
func (o *office) refuseRecords(m *nodetest.Machine) {
	refuse(m, memdisk.OpWrite, "/kv")
	o.turn(m, func(ctx context.Context, s *Service) {
		_ = storage.Put(s.store, storage.K("of", "another", "kind"), nil) // taken, unless it has refused something already
		require.Error(o, s.store.Sync(ctx))
	})
}

// factsOfJobs are all that checkers are told.
var factsOfJobs = []string{
	"job-accepted", "job-acked", "job-granted", "job-released", "job-finished", "job-expired", "job-settled", "job-rebuilt", "job-forgotten",
}

// threeJobs has one job that has failed, one that is held and one that is open.
type threeJobs struct {
	*office
	failed, held, open string
	token              fencing.Token
}

// What cannot be written is an error, has not happened, and is told to nobody; it
// happens when the disk takes it.
func TestWhatCannotBeWrittenHasNotHappened(t *testing.T) {
	again := func(retry time.Duration) error {
		if retry == reconcileRetry {
			return errors.New("again soon")
		}
		return nil
	}
	// cancelled has a job know that it is to be cancelled, and do nothing about it.
	cancelled := func(s *Service, job string) {
		s.board.active[job].reconciling = true
		require.NoError(t, s.store.Apply(batchOf(job, cancel{Cause: "request", Reason: "why"})))
		s.refresh(job)
		require.NotNil(t, s.board.active[job].state.Cancel)
	}
	for name, c := range map[string]struct {
		given func(s *Service, x *threeJobs)
		act   func(ctx context.Context, s *Service, x *threeJobs) error
	}{
		"push": {nil, func(ctx context.Context, s *Service, x *threeJobs) error {
			_, err := s.push(ctx, x.monkeys[0].Peer(), aPush("new", 9))
			return err
		}},
		"claim": {nil, func(ctx context.Context, s *Service, x *threeJobs) error {
			_, err := s.claim(ctx, x.monkeys[0].Peer(), patrickapi.ClaimRequest{Job: x.open, Holder: x.monkeys[0].Peer()})
			return err
		}},
		"finish": {nil, func(ctx context.Context, s *Service, x *threeJobs) error {
			_, err := s.finish(ctx, x.monkeys[0].Peer(), patrickapi.FinishRequest{Job: x.held, Token: x.token, Error: "e"})
			return err
		}},
		"cancel": {nil, func(ctx context.Context, s *Service, x *threeJobs) error {
			_, err := s.cancel(ctx, x.user.Peer(), patrickapi.CancelRequest{Job: x.open})
			return err
		}},
		"cancel of what is held": {func(s *Service, x *threeJobs) { cancelled(s, x.held) }, func(ctx context.Context, s *Service, x *threeJobs) error {
			_, err := s.cancel(ctx, x.user.Peer(), patrickapi.CancelRequest{Job: x.held})
			if err != nil {
				require.ErrorContains(t, err, "stop its holder")
			}
			return err
		}},
		"rebuild": {nil, func(ctx context.Context, s *Service, x *threeJobs) error {
			_, err := s.rebuild(ctx, x.user.Peer(), patrickapi.RebuildRequest{Job: x.failed, N: 1})
			return err
		}},
		"forget": {nil, func(_ context.Context, s *Service, x *threeJobs) error { return s.forget(x.failed, patrickapi.Failed) }},
		"accept what was published": {nil, func(_ context.Context, s *Service, x *threeJobs) error {
			return s.acceptPublished(tnsapi.Version{Job: x.open, Token: x.token})
		}},
		"expire": {nil, func(_ context.Context, s *Service, x *threeJobs) error {
			return again(s.expire(s.board.active[x.held]))
		}},
		"close what tns may know": {func(s *Service, x *threeJobs) { cancelled(s, x.open) }, func(ctx context.Context, s *Service, x *threeJobs) error {
			return again(s.closeUnlessPublished(ctx, s.board.active[x.open]))
		}},
		"close": {func(s *Service, x *threeJobs) { cancelled(s, x.open) }, func(ctx context.Context, s *Service, x *threeJobs) error {
			return again(s.carryOn(ctx, s.board.active[x.open]))
		}},
		"supersede": {func(s *Service, _ *threeJobs) {
			branch := patrickapi.BranchID("r", "b")
			br := s.board.branches[branch]
			br.newest, br.newestJob = 99, "newest"
			s.board.branches[branch] = br
		}, func(_ context.Context, s *Service, x *threeJobs) error {
			s.supersede(s.board.active[x.open])
			if s.read(x.open).Cancel == nil {
				return errors.New("goes on")
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, setup{}, func(o *office) {
				x, m, first := &threeJobs{office: o}, o.monkeys[0], o.ranked()[0]
				x.failed, x.held, x.open = o.push(aPush("failed", 1)), o.push(aPush("held", 2)), o.push(aPush("open", 3))
				_, err := m.finish(patrickapi.FinishRequest{Job: x.failed, Token: m.mustClaim(x.failed), Error: "e", Permanent: true})
				require.NoError(t, err)
				x.token = m.mustClaim(x.held)
				if c.given != nil {
					o.turn(first, func(_ context.Context, s *Service) { c.given(s, x) })
				}
				o.refuseRecords(first)
				facts := func() (n int) {
					for _, name := range factsOfJobs {
						n += len(o.Facts(name))
					}
					return n
				}
				before := facts()
				o.turn(first, func(ctx context.Context, s *Service) {
					states := func() []State { return []State{s.read(x.failed), s.read(x.held), s.read(x.open)} }
					known := states()
					require.Error(t, c.act(ctx, s, x))
					require.Equal(t, known, states())
					require.Zero(t, s.board.active[x.open].fencedBelow+s.board.active[x.held].fencedBelow)
					require.False(t, s.Forgot(x.failed))
				})
				require.Equal(t, before, facts())
				first.Disk.SetFaults(memdisk.Faults{})
				o.turn(first, func(ctx context.Context, s *Service) { require.NoError(t, c.act(ctx, s, x)) })
				require.Less(t, before, facts())
			})
		})
	}
}

// A tree that cannot be written makes no job; nor does one that nobody knows to be
// on the disk.
func TestATreeThatCannotBeWrittenMakesNoJob(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		coordinator := o.ranked()[0]
		refuse(coordinator, memdisk.OpWrite, "/blocks")
		_, err := o.deliver(aPush("c", 1))
		require.ErrorContains(t, err, "store the tree")
		coordinator.Disk.SetFaults(memdisk.Faults{})
		o.turn(coordinator, func(ctx context.Context, s *Service) {
			ended, cancel := context.WithCancel(ctx)
			cancel()
			_, err := s.storeTree(ended, []byte("another tree"))
			require.ErrorContains(t, err, "sync the tree")
			_, err = s.push(ended, transport.Peer{}, aPush("c", 1))
			require.Error(t, err)
			root, err := s.env.Blocks.Add(ctx, []byte("here"))
			require.NoError(t, err)
			require.ErrorContains(t, s.fetch(ended, root, nil, treeSizeMax), "sync")
		})
		require.Empty(t, o.Facts("job-accepted"))
		job := o.push(aPush("c", 1))
		// Nor does a delivery that comes once more count where the tree is missing, though
		// others have it.
		o.turn(coordinator, func(ctx context.Context, s *Service) {
			source, err := cid.Decode(s.Source(job))
			require.NoError(t, err)
			require.NoError(t, s.env.Blocks.Remove(source))
			refused := false
			coordinator.Disk.SetFaults(memdisk.Faults{Fail: func(o memdisk.Op, key string) error {
				if once := o == memdisk.OpWrite && strings.HasPrefix(key, "/blocks") && !refused; once {
					refused = true
					return errors.New("the disk refuses, once")
				}
				return nil
			}})
			require.ErrorContains(t, s.ensureTree(ctx, job, aPush("c", 1).Tree), "store the tree")
			require.True(t, refused)
			require.NoError(t, s.ensureTree(ctx, job, aPush("c", 1).Tree))
			require.True(t, s.HasTree(job))
		})
	})
}

// Content that a disk does not let go of is let go of at the next look.
func TestContentThatDoesNotGo(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		m := o.patricks[0]
		o.turn(m, func(ctx context.Context, s *Service) {
			root, err := s.env.Blocks.Add(ctx, []byte("a tree"))
			require.NoError(t, err)
			idle := map[cid.Cid]bool{root: true}
			refuse(m, memdisk.OpWrite, "/blocks")
			require.Equal(t, idle, s.sweepContents(idle))
			require.True(t, s.HasSource(root.String()))
			m.Disk.SetFaults(memdisk.Faults{})
			require.Equal(t, 1, s.Stored())
			require.Empty(t, s.sweepContents(idle))
			require.Zero(t, s.Stored())
		})
	})
}

// A coordinator whose disk refuses tries again each reconcileRetry, not at once and not
// never.
func TestWhatTheDiskRefusesIsTriedAgainSoon(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		o.monkeys[0].mustClaim(job)
		coordinator := o.ranked()[0]
		nodetest.Sleep(5 * second)
		o.refuseRecords(coordinator)
		nodetest.Sleep(10 * second)
		require.Empty(t, o.expired())
		coordinator.Disk.SetFaults(memdisk.Faults{})
		nodetest.Sleep(reconcileRetry + time.Millisecond)
		require.Equal(t, []any{"not renewed"}, o.expired())
	})
}

// A start whose store cannot be read fails, and so does one that is not waited for.
func TestAStartThatFails(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		m := o.patricks[0]
		m.Stop()
		refuse(m, memdisk.OpQuery, "/kv")
		require.ErrorContains(t, m.TryStart(), "patrick: open")
		m.Disk.SetFaults(memdisk.Faults{})
		m.Start()
	})
}

// Stopping says to another patrick what nobody else has yet; if nobody answers,
// this takes its time and no longer.
func TestAStopTellsWhatNobodyElseHas(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		first, other := o.patricks[0], o.patricks[1]
		o.turn(first, func(_ context.Context, s *Service) {
			require.NoError(t, s.addRecords("job", spec{Order: 1, Branch: "b", By: s.env.Self}))
		})
		first.Stop()
		require.Equal(t, uint64(1), stateOnDisk(other.Disk, "job").Spec.Order)
		require.Equal(t, uint64(1), stateOnDisk(first.Disk, "job").Spec.Order)
		began := o.user.Env.Loop.Elapsed()
		other.Stop()
		require.LessOrEqual(t, o.user.Env.Loop.Elapsed()-began, stopTimeout)
	})
}
