package patrick

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// A job is written once, with all that is known of it.
func TestWhatIsAccepted(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		req := aPush("c", 3)
		req.NewestWins = true
		job, first := o.push(req), o.ranked()[0]
		o.turn(first, func(_ context.Context, s *Service) {
			got := s.read(job).Spec
			source, err := cid.Decode(got.Source)
			require.NoError(t, err)
			require.Equal(t, spec{
				Project: "p", Repository: "r", Branch: "b", Commit: "c", Event: "e-c", Order: 3, NewestWins: true,
				Source: source.String(), TreeSize: int64(len(req.Tree)), By: first.Peer(), At: s.env.Loop.Now().UnixNano(),
			}, got)
			records := len(s.records(job))
			duplicate, err := s.accept(job, req, source, false)
			require.NoError(t, err)
			require.True(t, duplicate)
			require.Len(t, s.records(job), records)

			s.board.remember(jobOfPush(aPush("gone", 2)), 1)
			for commit, want := range map[string]transport.Kind{"gone": 0, "covered": transport.Conflict} {
				req := aPush(commit, map[string]uint64{"gone": 2, "covered": 1}[commit])
				duplicate, err := s.accept(jobOfPush(req), req, source, false)
				require.Equal(t, want, transport.KindOf(err))
				require.True(t, duplicate)
				require.Empty(t, s.records(jobOfPush(req)))
			}
		})
	})
}

// A further delivery brings the tree that the first one had, whatever it brings
// itself; of a job that has ended it brings none.
func TestWhichTreeADeliveryBrings(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job, first := o.push(aPush("c", 1)), o.ranked()[0]
		o.turn(first, func(ctx context.Context, s *Service) {
			source := s.Source(job)
			stored := s.Stored()
			require.NoError(t, s.ensureTree(ctx, job, []byte("other")))
			require.NoError(t, s.ensureTree(ctx, "no job", []byte("other")))
			require.Equal(t, stored, s.Stored(), "there is nothing to bring")
			require.NoError(t, s.env.Blocks.Remove(cid.MustParse(source)))
			require.NoError(t, s.ensureTree(ctx, job, aPush("c", 1).Tree))
			require.True(t, s.HasTree(job))
			require.NoError(t, s.env.Blocks.Remove(cid.MustParse(source)))
			require.NoError(t, s.ensureTree(ctx, job, []byte("other")))
			require.True(t, s.HasTree(job), "another patrick has it")
			damaged := *s.board.active[job] // one of its own: the job's is read anew now and then
			damaged.state.Spec.Source = "nonsense"
			s.board.active["damaged"] = &damaged
			requireKind(t, transport.Internal, s.ensureTree(ctx, "damaged", []byte("other")), "invalid cid")
			delete(s.board.active, "damaged")
		})
		again := aPush("c", 1)
		again.Tree = []byte("other")
		resp, err := o.deliver(again)
		require.NoError(t, err)
		require.True(t, resp.Duplicate)
	})
}

// Others are asked to keep something one after the other until enough do, and a few
// at most; those that are down or refuse do not count.
func TestHowManyAreAskedToKeepSomething(t *testing.T) {
	down := transport.New(transport.Refused, "patrick", "no")
	for _, c := range []struct {
		want        int
		down, never []int
		kept        int
		asked       []int
	}{
		{want: 0},
		{want: 1, kept: 1, asked: []int{0}},
		{want: 3, kept: 3, asked: []int{0, 1, 2}},
		{want: 2, down: []int{0}, never: []int{1}, kept: 2, asked: []int{1, 2, 3}},
		{want: 9, kept: keepAskMax, asked: []int{0, 1, 2, 3, 4}},
		{want: 9, down: []int{0, 1, 2, 3, 4}},
	} {
		amongNeighbours(t, 0, 6, func(self *nodetest.Caller, r *reach, branch string, list []*neighbour) {
			s := &Service{env: self.Env, peers: r}
			for i, n := range list {
				if slices.Contains(c.down, i) {
					n.err = down
				}
				if slices.Contains(c.never, i) {
					n.keepErr = down
				}
			}
			req := keepRequest{Root: "root", Size: 7}
			self.Do(func(ctx context.Context) {
				require.Equal(t, c.kept, s.spreadRoot(ctx, branch, req, c.want))
				ended, cancel := context.WithCancel(ctx)
				cancel()
				require.Zero(t, s.spreadRoot(ended, branch, req, c.want))
			})
			var asked []int
			for i, n := range list {
				if len(n.kept) > 0 {
					require.Equal(t, []keepRequest{req}, n.kept)
					asked = append(asked, i)
				}
			}
			require.Equal(t, c.asked, asked)
		})
	}
}

// A patrick is alone if nobody answers now, whatever was known before.
func TestWhoIsAlone(t *testing.T) {
	down := transport.New(transport.Refused, "patrick/ping", "no")
	for n := range 3 {
		for up := range n + 1 {
			amongNeighbours(t, 0, n, func(self *nodetest.Caller, r *reach, branch string, list []*neighbour) {
				s := &Service{env: self.Env, peers: r}
				self.Do(func(ctx context.Context) {
					for i, p := range list {
						r.learn(p.Peer(), i >= up) // the contrary
						if i >= up {
							p.err = down
						}
					}
					require.Equal(t, up > 0, s.notAlone(ctx, branch))
				})
			})
		}
	}
}

// What a patrick is asked to keep is content, of a size that a tree can have, and
// is here afterwards.
func TestWhatIsKeptForOthers(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		root := o.monkeys[0].store("tree")
		for _, c := range []struct {
			root string
			size int64
			from transport.Peer
			want transport.Kind
		}{
			{"nonsense", 1, o.monkeys[0].Peer(), transport.Invalid},
			{root, patrickapi.TreeLenMax + 1, o.monkeys[0].Peer(), transport.Invalid},
			{root, 1, o.monkeys[1].Peer(), transport.Internal},
			{root, patrickapi.TreeLenMax, o.monkeys[0].Peer(), 0},
		} {
			o.turn(o.patricks[0], func(ctx context.Context, s *Service) {
				_, err := s.keep(ctx, c.from, keepRequest{Root: c.root, Size: c.size})
				require.Equal(t, c.want, transport.KindOf(err), "%+v: %v", c, err)
				require.Equal(t, c.want == 0, s.HasSource(root))
			})
		}
	})
}

// What it takes to make a job durable: as many copies as are wanted and can be had.
// Who could have another copy and has not got it says so.
func TestHowAJobIsSecured(t *testing.T) {
	for name, c := range map[string]struct {
		copies  int
		given   func(o *office, s *Service, job string)
		want    int
		kind    transport.Kind
		secured bool
	}{
		"two":         {copies: 2, want: 2, secured: true},
		"one will do": {copies: 1, want: 1, secured: true},
		"known already": {copies: 2, given: func(_ *office, s *Service, job string) {
			s.board.active[job].secured = true
			s.board.active[job].state.Spec.Source = "x"
		}, want: 2, secured: true},
		"nobody is there": {copies: 2, given: func(o *office, s *Service, _ string) { o.ranked()[1].Vanish() }, want: 1},
		"the tree is not here": {copies: 2, given: func(_ *office, s *Service, job string) {
			s.board.active[job].state.Spec.Source = cid.MustParse("bafkqaaa").String() + "x"
		}, kind: transport.Timeout},
		"it has ended": {copies: 2, given: func(_ *office, s *Service, job string) { s.board.drop(job) }, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, setup{change: func(s *Settings) { s.Copies = c.copies }}, func(o *office) {
				job := o.push(aPush("c", 1))
				nodetest.Sleep(5 * second)
				o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
					j := s.board.active[job]
					j.secured = false
					if c.given != nil {
						c.given(o, s, job)
					}
					copies, err := s.secure(ctx, job)
					require.Equal(t, c.kind, transport.KindOf(err), "%v", err)
					require.Equal(t, c.want, copies)
					require.Equal(t, c.secured, j.secured)
				})
			})
		})
	}
	inOffice(t, setup{}, func(o *office) {
		o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
			ended, cancel := context.WithCancel(ctx)
			cancel()
			_, err := s.replicate(ended, second)
			require.Error(t, err)
			_, err = s.secure(ended, "no job")
			require.Error(t, err)
		})
	})
}

// With one copy wanted nobody else is asked for anything.
func TestOneCopyCanBeEnough(t *testing.T) {
	inOffice(t, setup{patricks: 3, change: func(s *Settings) { s.Copies = 1 }}, func(o *office) {
		m := o.monkeys[0]
		job := o.push(aPush("c", 1))
		require.Equal(t, 1, o.Facts("job-acked")[0].Fields["copies"])
		resp, err := m.finish(patrickapi.FinishRequest{Job: job, Token: m.mustClaim(job), Error: "e", Permanent: true, Log: m.store("log")})
		require.NoError(t, err)
		require.Equal(t, 1, resp.LogCopies)
		require.Equal(t, 1, o.disksHolding(stateOnDisk(o.ranked()[0].Disk, job).Spec.Source))
		o.ranked()[1].Vanish()
		o.ranked()[2].Vanish()
		o.push(aPush("d", 2))
		o.turn(o.ranked()[0], func(_ context.Context, s *Service) { require.NoError(t, s.Ready()) })
	})
}

// Nobody gets an order while it is not known whether there is a tns: a live version may have a higher one.
func TestNoOrderWhileTNSMayBeThere(t *testing.T) {
	inOffice(t, setup{noTNS: true}, func(o *office) {
		ask := func() (resp patrickapi.EventResponse, err error) {
			o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
				resp, err = s.newEvent(ctx, transport.Peer{}, patrickapi.EventRequest{Project: "p", Repository: "r", Branch: "b"})
			})
			return resp, err
		}
		o.Directory.SetPartial(true)
		_, err := ask()
		requireKind(t, transport.Refused, err, "not known yet whether there is a tns")
		o.Directory.SetPartial(false)
		resp, err := ask()
		require.NoError(t, err)
		require.EqualValues(t, 1, resp.Order)
	})
}

// Orders end at OrderMax.
func TestOrdersEnd(t *testing.T) {
	inOffice(t, setup{noTNS: true}, func(o *office) {
		req := patrickapi.EventRequest{Project: "p", Repository: "r", Branch: "b"}
		o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
			s.board.given.last[patrickapi.BranchID("r", "b")] = patrickapi.OrderMax - 1
			resp, err := s.newEvent(ctx, transport.Peer{}, req)
			require.NoError(t, err)
			require.EqualValues(t, patrickapi.OrderMax, resp.Order)
			_, err = s.newEvent(ctx, transport.Peer{}, req)
			requireKind(t, transport.Invalid, err, "absurd")
			ended, cancel := context.WithCancel(ctx)
			cancel()
			req.Branch = "another"
			_, err = s.newEvent(ended, transport.Peer{}, req)
			require.Error(t, err)
		})
	})
}

// A claim sees that a newer push wants the job gone, wherever that was accepted.
func TestAClaimSeesANewerPush(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		other := o.push(aPush("other", 2))
		token := o.monkeys[1].mustClaim(other)
		o.turn(o.ranked()[1], func(ctx context.Context, s *Service) {
			newer := spec{Project: "p", Repository: "r", Branch: "b", Commit: "n", Event: "e-n", Order: 3, NewestWins: true, By: s.env.Self}
			require.NoError(t, s.store.Apply(batchOf(jobOfPush(aPush("n", 3)), newer)))
			_, err := s.store.Replicate(ctx, 2)
			require.NoError(t, err)
		})
		nodetest.Sleep(time.Millisecond)
		o.turn(o.ranked()[0], func(context.Context, *Service) {})
		_, err := o.monkeys[0].claim(job)
		requireKind(t, transport.Conflict, err, "it is over")
		requireKind(t, transport.Conflict, o.monkeys[1].renew(other, token), "superseded")
	})
}

// A request for a rebuild that comes late begins nothing, nor does one that another
// has overtaken while the tree was fetched.
func TestARebuildIsBegunOnce(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		for n := 1; n <= 2; n++ {
			_, err := o.cancel(job)
			require.NoError(t, err)
			_, err = o.rebuild(job)
			require.NoError(t, err)
		}
		resp, err := o.cancel(job)
		require.NoError(t, err)
		require.Equal(t, patrickapi.CancelResponse{Status: patrickapi.Cancelled, Rebuild: 2}, resp)
		o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
			late, err := s.rebuild(ctx, transport.Peer{}, patrickapi.RebuildRequest{Job: job, N: 2})
			require.NoError(t, err)
			require.Equal(t, patrickapi.RebuildResponse{Status: patrickapi.Cancelled, Rebuilds: 2}, late)
			state := s.read(job)
			for _, change := range []func(s *State){
				func(s *State) { s.Rebuilds-- }, func(s *State) { s.Rebuilds++ },
			} {
				seen := state
				change(&seen)
				require.NoError(t, s.rebuildWith(ctx, job, seen))
			}
			bad := state
			bad.Spec.Source = "nonsense"
			requireKind(t, transport.Internal, s.rebuildWith(ctx, job, bad), "invalid cid")
			bad.Spec.Source = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
			require.Error(t, s.rebuildWith(ctx, job, bad), "nobody has its tree")
			require.Equal(t, 2, s.read(job).Rebuilds)
			require.NoError(t, s.rebuildWith(ctx, job, state))
			require.Equal(t, 3, s.read(job).Rebuilds)
			require.NoError(t, s.rebuildWith(ctx, job, state.withRebuilds(3)), "it is being built")
			require.Equal(t, 3, s.read(job).Rebuilds)
			require.NoError(t, s.addRecords(job, result{Token: fencing.Token{Attempt: 1, Holder: testPeers[0]}, Success: true, Published: true}))
			require.Equal(t, patrickapi.Success, s.read(job).Status)
			require.NoError(t, s.rebuildWith(ctx, job, state.withRebuilds(3)), "tns tells that it has succeeded")
			require.Equal(t, 3, s.read(job).Rebuilds)
		})
	})
}

func (s State) withRebuilds(n int) State {
	s.Rebuilds = n
	return s
}

// However many jobs are open, an announcement has a bounded number, the oldest.
func TestAnnouncementsAreBounded(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := o.push(aPush("c", 1))
		o.monkeys[0].heard()
		at := o.ranked()[0]
		o.turn(at, func(ctx context.Context, s *Service) {
			for i := range patrickapi.AnnounceLenMax + 5 {
				j := *s.board.active[job]
				j.id = patrickapi.JobID("r", "b", "c", patrickapi.Event{ID: fmt.Sprint(i), Order: uint64(i + 2)})
				j.state.Spec.Order, j.round, j.timer = uint64(i+2), 0, nil
				s.board.active[j.id] = &j
			}
			for limit, want := range map[int]int{0: patrickapi.AnnounceLenMax, 2: 2, patrickapi.AnnounceLenMax + 1: patrickapi.AnnounceLenMax} {
				a, err := s.openJobs(ctx, transport.Peer{}, patrickapi.OpenRequest{Limit: limit})
				require.NoError(t, err)
				require.Len(t, a.Jobs, want)
				require.Equal(t, job, a.Jobs[0].Job)
			}
			require.True(t, s.sweep(ctx))
		})
		offers := o.monkeys[0].heard()
		require.Len(t, offers, patrickapi.AnnounceLenMax)
		require.Equal(t, job, offers[0].Job)
		o.turn(at, func(ctx context.Context, s *Service) {
			for id := range s.board.active {
				if id != job {
					delete(s.board.active, id)
				}
			}
			require.True(t, s.sweep(ctx))
			delete(s.board.active, job)
			require.False(t, s.sweep(ctx))
		})
		require.Len(t, o.monkeys[0].heard(), 1)
		o.turn(o.ranked()[1], func(ctx context.Context, s *Service) { require.True(t, s.sweep(ctx)) })
		require.Empty(t, o.monkeys[0].heard(), "it is not the coordinator")
	})
}

// Records that come after a job was forgotten are deleted and bring nothing back.
func TestLateRecordsOfAForgottenJobGo(t *testing.T) {
	inOffice(t, setup{change: func(s *Settings) { s.KeepFinished = 1 }}, func(o *office) {
		var ids []string
		for i := range 2 {
			ids = append(ids, o.push(aPush(fmt.Sprint(i), uint64(i+1))))
			_, err := o.cancel(ids[i])
			require.NoError(t, err)
			nodetest.Sleep(10 * time.Millisecond)
		}
		nodetest.Sleep(3 * second)
		require.Len(t, o.Facts("job-forgotten"), 1)
		for _, m := range o.ranked() {
			o.turn(m, func(_ context.Context, s *Service) {
				require.NoError(t, s.store.Apply(batchOf(ids[0], spec{Project: "p", Repository: "r", Branch: "b", Order: 1, By: s.env.Self})))
			})
			nodetest.Sleep(time.Millisecond)
			o.turn(m, func(_ context.Context, s *Service) { require.Equal(t, patrickapi.Unknown, s.Status(ids[0])) })
			nodetest.Sleep(3 * second)
			for _, p := range o.patricks {
				o.turn(p, func(_ context.Context, s *Service) {
					require.Empty(t, s.store.Entries(jobKey(ids[0])))
					require.Len(t, s.store.Entries(pastKey()), 1)
					require.Empty(t, s.leftovers)
					require.True(t, s.Forgot(ids[0]))
					require.False(t, s.retiring)
				})
			}
		}
		require.Len(t, o.Facts("job-forgotten"), 1)
		o.turn(o.ranked()[0], func(ctx context.Context, s *Service) {
			s.retire(ctx, jobOfPush(aPush("never seen", 5)))
			open := ids[1]
			line := s.board.briefs[open]
			line.status = patrickapi.Locked
			s.board.briefs[open] = line
			s.retire(ctx, open)
			require.NotEmpty(t, s.records(open), "it is not final any more")
			line.status = patrickapi.Cancelled
			s.board.briefs[open] = line
			s.retire(ctx, open)
			require.Empty(t, s.records(open))
		})
		o.turn(o.ranked()[1], func(ctx context.Context, s *Service) {
			other := jobOfPush(aPush("of another", 9))
			s.board.briefs[other] = brief{project: "p", branch: "b", status: patrickapi.Failed}
			s.retire(ctx, other)
			require.False(t, s.Forgot(other), "it is not the coordinator")
		})
		for n, want := range map[int]int{0: 1, 1: 1, 5: 5} {
			require.Equal(t, want, (&Service{settings: Settings{KeepFinished: n}}).keepFinished())
		}
	})
}

// What is remembered follows the store, and what is no memory is left out.
func TestWhatIsRecalled(t *testing.T) {
	inOffice(t, setup{}, func(o *office) {
		job := jobOfPush(aPush("c", 5))
		o.turn(o.patricks[0], func(_ context.Context, s *Service) {
			key := forgottenKey(job)
			put := func(k storage.Key, value []byte) {
				require.NoError(t, storage.Put(s.store, k, value))
				s.recall(k)
			}
			put(storage.K("past", patrickapi.BranchOf(job)), nil)
			put(storage.K("past", patrickapi.BranchOf(job), "nonsense"), nil)
			put(storage.K("past", patrickapi.BranchOf(job), job, "more"), nil)
			require.Empty(t, s.board.memories)
			put(key, []byte("of another release"))
			require.True(t, s.Forgot(job))
			require.False(t, s.Overtaken(jobOfPush(aPush("d", 1))))
			put(key, transport.Encode(forgotten{Floor: 4}))
			require.True(t, s.Overtaken(jobOfPush(aPush("d", 4))))
			require.False(t, s.Overtaken(jobOfPush(aPush("d", 6))))
			require.NoError(t, s.store.Apply(new(storage.Batch).Delete(key)))
			s.recall(key)
			require.False(t, s.Forgot(job))
			s.recall(forgottenKey(jobOfPush(patrickapi.PushRequest{Branch: "never"})))
		})
	})
}

// A job is offered to its shortlist while that is less than half of the monkeys, and
// to all from then on.
func TestWhoHearsOfAnOffer(t *testing.T) {
	for _, c := range []struct {
		round, monkeys int
		all            bool
	}{{0, 2*offerFirst + 1, false}, {0, 2 * offerFirst, true}, {1, 2*offerFirst*offerGrowth + 1, false}, {1, 2 * offerFirst * offerGrowth, true}} {
		inOffice(t, setup{}, func(o *office) {
			for i := range c.monkeys - len(o.monkeys) {
				w := &worker{office: o}
				w.Machine = o.Add(fmt.Sprint("more-", i), node.Configured{Spec: nodetest.Part("monkey", w.start)})
				o.monkeys = append(o.monkeys, w)
				w.Machine.Start()
			}
			job := jobNamed("r", "e", 1)
			o.turn(o.ranked()[0], func(_ context.Context, s *Service) {
				j := &active{id: job, round: c.round}
				s.offer([]*active{j})
				require.Equal(t, c.round+1, j.round)
			})
			heard := 0
			for _, w := range o.monkeys {
				offers := w.heard()
				heard += len(offers)
				for _, offer := range offers {
					require.Equal(t, patrickapi.Offer{Job: job, Attempt: 1, Round: c.round}, offer)
				}
			}
			if c.all {
				require.Equal(t, c.monkeys, heard)
			} else {
				require.Equal(t, shortlistLen(c.round), heard)
			}
		})
	}
}
