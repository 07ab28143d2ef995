package patrick

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// neighbour stands in for another patrick: it answers pings as a test says.
type neighbour struct {
	*nodetest.Machine
	pings, renews int
	kept          []keepRequest
	takes         time.Duration
	err, renewErr error
	keepErr       error
}

func (n *neighbour) start(env node.Env) {
	ping.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ pingRequest) (pingResponse, error) {
		n.pings++
		if err := clock.Sleep(ctx, env.Loop, n.takes); err != nil {
			return pingResponse{}, err
		}
		return pingResponse{}, n.err
	})
	keep.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req keepRequest) (keepResponse, error) {
		n.kept = append(n.kept, req)
		return keepResponse{}, n.keepErr
	})
	patrickapi.Renew.Serve(env.Wire, func(context.Context, transport.Peer, patrickapi.RenewRequest) (patrickapi.RenewResponse, error) {
		n.renews++
		return patrickapi.RenewResponse{}, n.renewErr
	})
}

// amongNeighbours gives a test a reach whose patricks are stand-ins, in the order
// of branch's rank, and itself after the first `before` of them.
func amongNeighbours(t *testing.T, before, n int, f func(c *nodetest.Caller, r *reach, branch string, list []*neighbour)) {
	nodetest.Run(t, func(cloud *nodetest.Cloud) {
		byPeer := map[transport.Peer]*neighbour{}
		for i := range n {
			w := &neighbour{}
			w.Machine = cloud.Add(fmt.Sprintf("neighbour-%d", i), node.Configured{Spec: nodetest.Part("patrick", w.start)})
			w.Machine.Start()
			byPeer[w.Peer()] = w
		}
		self := cloud.Caller("self")
		cloud.Directory.Add(self.Peer(), "patrick")
		for i := 0; ; i++ {
			branch, list := patrickapi.BranchID("r", fmt.Sprint(i)), []*neighbour{}
			for _, p := range rendezvous.Rank(branch, cloud.Directory.Peers("patrick")) {
				if p == self.Peer() && len(list) != before {
					list = nil
					break
				}
				if p != self.Peer() {
					list = append(list, byPeer[p])
				}
			}
			if len(list) == n && list != nil {
				f(self, newReach(self.Env), branch, list)
				return
			}
		}
	})
}

// What a ping has shown is believed for its time, to the nanosecond: trustFor if
// there was an answer, doubtFor if there was none.
func TestAnAnswerIsBelievedForItsTime(t *testing.T) {
	for _, c := range []struct {
		up   bool
		long time.Duration
	}{{true, trustFor}, {false, doubtFor}} {
		amongNeighbours(t, 1, 1, func(self *nodetest.Caller, r *reach, _ string, list []*neighbour) {
			p := list[0]
			if !c.up {
				p.err = transport.New(transport.Refused, "patrick/ping", "no")
			}
			ask := func(pings int) {
				self.Do(func(ctx context.Context) {
					up, err := r.ask(ctx, p.Peer())
					require.NoError(t, err)
					require.Equal(t, c.up, up)
				})
				require.Equal(t, pings, p.pings)
			}
			ask(1)
			nodetest.Sleep(c.long - 1)
			ask(1)
			nodetest.Sleep(time.Nanosecond)
			ask(2)
			self.Do(func(context.Context) { r.forget(p.Peer()) })
			ask(3)
			p.err = nil
			self.Do(func(context.Context) { r.learn(p.Peer(), c.up) })
			ask(3)
		})
	}
}

// All who ask at the same time wait for one ping; one that has no time gives up
// alone, and what the ping shows counts all the same.
func TestWhoAsksTogetherWaitsForOnePing(t *testing.T) {
	for _, c := range []struct {
		takes, want time.Duration
		up          bool
	}{{pingTimeout - 1, pingTimeout - 1, true}, {pingTimeout + 1, pingTimeout, false}} {
		amongNeighbours(t, 1, 1, func(self *nodetest.Caller, r *reach, _ string, list []*neighbour) {
			p := list[0]
			p.takes = c.takes
			self.Do(func(ctx context.Context) {
				began := self.Env.Loop.Elapsed()
				require.NoError(t, clock.First(ctx, self.Env.Loop, 3, 3, func(ctx context.Context, i int) error {
					if i == 1 {
						hurried, cancel := clock.WithTimeout(ctx, self.Env.Loop, second/10)
						defer cancel()
						up, err := r.ask(hurried, p.Peer())
						require.Error(t, err)
						require.False(t, up)
						require.Equal(t, began+second/10, self.Env.Loop.Elapsed())
						return nil
					}
					up, err := r.ask(ctx, p.Peer())
					require.NoError(t, err)
					require.Equal(t, c.up, up)
					return nil
				}))
				require.Equal(t, began+c.want, self.Env.Loop.Elapsed())
				require.Equal(t, contact{up: c.up, until: r.known[p.Peer()].until}, r.known[p.Peer()], "nobody waits any more")
			})
			require.Equal(t, 1, p.pings)
		})
	}
}

// The coordinator is the first in rank that answers; nobody behind this one is
// asked, and who has no time is told so.
func TestTheCoordinatorIsTheFirstThatAnswers(t *testing.T) {
	down := transport.New(transport.Refused, "patrick/ping", "no")
	amongNeighbours(t, 2, 3, func(self *nodetest.Caller, r *reach, branch string, list []*neighbour) {
		is := func(ctx context.Context, want transport.Peer) {
			for _, n := range list {
				r.forget(n.Peer())
			}
			got, isSelf, err := r.coordinator(ctx, branch)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, want == self.Peer(), isSelf)
		}
		self.Do(func(ctx context.Context) {
			require.Equal(t, []transport.Peer{list[0].Peer(), list[1].Peer(), list[2].Peer()}, r.others(branch))
			is(ctx, list[0].Peer())
			list[0].err = down
			is(ctx, list[1].Peer())
			list[1].err = down
			is(ctx, self.Peer())
			require.Equal(t, []int{3, 2, 0}, []int{list[0].pings, list[1].pings, list[2].pings})

			list[0].takes = second
			r.forget(list[0].Peer())
			hurried, cancel := clock.WithTimeout(ctx, self.Env.Loop, second/10)
			defer cancel()
			_, isSelf, err := r.coordinator(hurried, branch)
			require.Error(t, err)
			require.False(t, isSelf)
		})
	})
}

// A request goes to the coordinator, and to the next one if that is gone; any other
// answer of it is the answer.
func TestARequestGoesToTheCoordinator(t *testing.T) {
	amongNeighbours(t, 2, 2, func(self *nodetest.Caller, r *reach, branch string, list []*neighbour) {
		local := 0
		s := &Service{env: self.Env, peers: r}
		serveAtCoordinator(s, patrickapi.Renew, func(patrickapi.RenewRequest) string { return branch },
			func(context.Context, transport.Peer, patrickapi.RenewRequest) (patrickapi.RenewResponse, error) {
				local++
				return patrickapi.RenewResponse{}, nil
			})
		renew := func() (err error) {
			self.Do(func(ctx context.Context) {
				_, err = patrickapi.Renew.Call(ctx, self.Env.Wire, self.Peer(), patrickapi.RenewRequest{})
			})
			return err
		}
		requests := func(want ...int) { require.Equal(t, want, []int{list[0].renews, list[1].renews, local}) }
		require.NoError(t, renew())
		requests(1, 0, 0)
		list[0].renewErr = transport.New(transport.Conflict, "patrick/renew", "ended")
		requireKind(t, transport.Conflict, renew(), "ended")
		requests(2, 0, 0)
		list[0].renewErr = transport.New(transport.Unreachable, "patrick/renew", "tns is silent")
		requireKind(t, transport.Unreachable, renew(), "tns is silent") // it answered: nobody else decides
		requests(3, 0, 0)
		list[0].renewErr = clock.ErrStopped
		require.NoError(t, renew())
		requests(4, 1, 0)
		require.NoError(t, renew())
		requests(4, 2, 0) // it is known for a while
		list[1].renewErr = list[0].renewErr
		require.NoError(t, renew())
		requests(4, 3, 1)

		self.Do(func(ctx context.Context) { r.forget(list[0].Peer()) })
		list[0].takes = second
		self.Do(func(ctx context.Context) {
			hurried, cancel := clock.WithTimeout(ctx, self.Env.Loop, second/10)
			defer cancel()
			_, err := patrickapi.Renew.Call(hurried, self.Env.Wire, self.Peer(), patrickapi.RenewRequest{})
			require.Error(t, err)
		})
		require.Equal(t, 1, local, "nobody decides without knowing that it is to")
	})
}

// A patrick that does not know who else is one takes itself for nobody's coordinator, makes as many copies
// as promised and is not ready; what better-ranked ones it knows it asks all the same.
func TestIgnoranceIsNotAbsence(t *testing.T) {
	amongNeighbours(t, 0, 0, func(self *nodetest.Caller, r *reach, branch string, _ []*neighbour) {
		s := &Service{env: self.Env, peers: r, settings: *DefaultSettings(), board: newBoard()}
		require.Equal(t, 1, s.copies(), "it is known to be alone")
		self.Env.Wire.Directory().(*transport.StaticDirectory).SetPartial(true)
		require.Equal(t, s.settings.Copies, s.copies())
		require.True(t, s.keeps(branch))
		require.Error(t, s.Ready())
		self.Do(func(ctx context.Context) {
			_, isSelf, err := r.coordinator(ctx, branch)
			require.Equal(t, transport.Refused, transport.KindOf(err))
			require.False(t, isSelf)
		})
	})
	amongNeighbours(t, 1, 1, func(self *nodetest.Caller, r *reach, branch string, list []*neighbour) {
		self.Env.Wire.Directory().(*transport.StaticDirectory).SetPartial(true)
		self.Do(func(ctx context.Context) {
			at, isSelf, err := r.coordinator(ctx, branch)
			require.NoError(t, err)
			require.False(t, isSelf)
			require.Equal(t, list[0].Peer(), at)
		})
	})
}

// A push is acknowledged by a patrick that knows no other only once it is known that there is none.
func TestAPushWaitsUntilOthersAreKnown(t *testing.T) {
	inOffice(t, setup{patricks: 1}, func(o *office) {
		o.Directory.SetPartial(true)
		_, err := o.deliver(aPush("c", 1))
		require.Equal(t, transport.Refused, transport.KindOf(err), "%v", err)
		o.Directory.SetPartial(false)
		_, err = o.deliver(aPush("c", 1))
		require.NoError(t, err)
	})
}

// What was learned of one that is no patrick any more is forgotten, unless it is being asked.
func TestPatricksThatHaveLeftAreForgotten(t *testing.T) {
	amongNeighbours(t, 2, 2, func(self *nodetest.Caller, r *reach, _ string, list []*neighbour) {
		self.Do(func(context.Context) {
			for _, p := range list {
				r.learn(p.Peer(), true)
			}
			gone, asked := transport.Peer{1}, transport.Peer{2}
			r.learn(gone, false)
			r.known[asked] = contact{probing: true}
			r.part()
			require.Len(t, r.known, 3)
			require.NotContains(t, r.known, gone)
			require.Contains(t, r.known, asked)
		})
	})
}
