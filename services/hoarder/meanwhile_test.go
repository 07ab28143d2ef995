package hoarder

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/rendezvous"
)

// What is acknowledged is so at that moment: a pin that was withdrawn, or a copy
// that was lost, while it became durable is not.
func TestAPinThatDidNotLastIsNotAcknowledged(t *testing.T) {
	on := func(f func(ctx context.Context, s *Service, root string)) func(*town, hoarderapi.PinRequest) {
		return func(w *town, req hoarderapi.PinRequest) {
			w.user.Do(func(context.Context) { // nobody can bring it back
				require.NoError(w, w.user.Env.Blocks.Remove(cidOf(w, req.Root)))
			})
			w.turn(w.hoarders[0], func(ctx context.Context, s *Service) { f(ctx, s, req.Root) })
		}
	}
	unpin := func(seq uint64) func(*town, hoarderapi.PinRequest) {
		return func(w *town, req hoarderapi.PinRequest) {
			w.user.Do(func(ctx context.Context) {
				require.NoError(w, w.client.Unpin(ctx, hoarderapi.UnpinRequest{Root: req.Root, Owner: req.Owner, Seq: seq}))
			})
		}
	}
	for name, c := range map[string]struct {
		meanwhile func(w *town, req hoarderapi.PinRequest)
		want      transport.Kind
		text      string
	}{
		"nothing happens":           {func(*town, hoarderapi.PinRequest) {}, 0, ""},
		"an older one is withdrawn": {unpin(3), 0, ""},
		"it is withdrawn":           {unpin(4), transport.Conflict, "the owner has withdrawn it"},
		"the copy is let go": {on(func(ctx context.Context, s *Service, root string) {
			require.True(t, s.release(ctx, root, func(situation) action { return discard }))
		}), transport.NotFound, "the copy did not last"},
		"the copy rots": {on(func(_ context.Context, s *Service, root string) {
			require.True(t, s.holdings.beginMend(root))
		}), transport.NotFound, "the copy did not last"},
		"the copy rots and is mended": {on(func(_ context.Context, s *Service, root string) {
			require.True(t, s.holdings.beginMend(root))
			s.holdings.endMend(root)
		}), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, 2, nil, func(w *town) {
				nodetest.Sleep(5 * time.Second)
				req := asset(w.store(500, 1), "me")
				req.Seq, req.Target = 4, 1
				disable, err := fail.Enable(fail.Rule{Point: "hoarder/before-mark-ack", Do: fail.Action{Do: fail.Delay, Delay: time.Second}, Times: 1})
				require.NoError(t, err)
				defer disable()
				answered := make(chan error, 1)
				go w.user.Do(func(ctx context.Context) {
					_, err := hoarderapi.Pin.Call(ctx, w.user.Env.Wire, w.hoarders[0].Peer(), req)
					answered <- err
				})
				nodetest.Sleep(time.Second / 2)
				require.Len(t, w.Facts("failpoint"), 1)
				c.meanwhile(w, req)
				require.Empty(t, answered)
				err = <-answered
				require.Equal(t, c.want, transport.KindOf(err), "%v", err)
				if err != nil {
					require.ErrorContains(t, err, c.text)
				}
				require.Equal(t, err == nil, len(w.Facts("item-pinned")) == 1)
			})
		})
	}
}

// Half a lease is counted from when the others were asked, not from when they
// answered: a promise may be as old as the question.
func TestConfirmationsAgeFromTheQuestion(t *testing.T) {
	const lease = 4 * time.Second
	for _, c := range []struct {
		after time.Duration // takes the answer
		goes  bool
	}{{0, true}, {lease/2 - time.Millisecond, true}, {lease / 2, false}, {lease - time.Millisecond, false}} {
		t.Run(c.after.String(), func(t *testing.T) {
			inTown(t, 1, func(s *Settings) { s.PromiseLease, s.SurplusMax, s.SurplusGrace = lease, 9, time.Hour }, func(w *town) {
				nodetest.Sleep(5 * time.Second)
				self, asked, stored := w.hoarders[0], 0, byte(0)
				other := w.Add("holder", node.Configured{Spec: nodetest.Part("holder", func(env node.Env) {
					hoarderapi.Have.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, req hoarderapi.HaveRequest) (hoarderapi.HaveResponse, error) {
						asked++
						return hoarderapi.HaveResponse{Has: true, Promise: lease, Proof: proofOf(ctx, env, bytes.Repeat([]byte{stored}, 500), req.Nonce)}, clock.Sleep(ctx, env.Loop, c.after)
					})
				})}).Start()
				root := w.store(500, stored)
				for !rendezvous.Of(root).Better(other.Peer(), self.Peer()) {
					stored++
					root = w.store(500, stored)
				}
				req := asset(root, "me")
				req.Target = 1
				_, err := w.pin(req)
				require.NoError(t, err)
				w.turn(self, func(ctx context.Context, s *Service) {
					s.roster.know([]transport.Peer{other.Peer()})
					s.roster.saw(other.Peer(), true, s.env.Loop.Elapsed())
					s.put(t, claimEntry(root, other.Peer()))
					began := s.env.Loop.Elapsed()
					require.Equal(t, c.goes, s.release(ctx, root, mayYield))
					require.Equal(t, c.after, s.env.Loop.Elapsed()-began)
					require.Equal(t, !c.goes, s.holdings.holds(root))
				})
				require.Equal(t, 1, asked)
				if c.goes {
					require.Equal(t, c.after, w.Facts("item-released")[0].Fields["asked"])
				}
			})
		})
	}
}
