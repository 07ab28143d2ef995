package hoarder

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// A key is one of ours if it has as many parts as its kind, no more and no less.
func TestKeysHaveTheirParts(t *testing.T) {
	peer, seq := somePeers(1)[0].String(), seqPart(1)
	pin := wantedBy("root", "me", 1)
	for _, key := range [][]string{
		{claimsPart, "root", peer}, {demandPart, "root", peer}, {withdrawnPart, "root", "owner", seq}, pin.Key.Parts(),
	} {
		value := transport.Encode(claimRecord{Bytes: 1})
		if key[0] == pinsPart {
			value = pin.Value
		}
		e, err := readEntry(storage.K(key...), value)
		require.NoError(t, err)
		require.Equal(t, "root", e.root)
		_, err = readEntry(storage.K(key[:len(key)-1]...), value)
		require.Error(t, err, key)
		_, err = readEntry(storage.K(append(key[:len(key):len(key)], "more")...), value)
		require.Error(t, err, key)
		for _, bad := range []int{2, 3} {
			if bad < len(key) && (key[0] != withdrawnPart && key[0] != pinsPart || bad == 3) {
				wrong := append([]string{}, key...)
				wrong[bad] = "wrong"
				_, err = readEntry(storage.K(wrong...), value)
				require.Error(t, err, wrong)
			}
		}
		if key[0] != withdrawnPart {
			_, err = readEntry(storage.K(key...), []byte("nonsense"))
			require.Error(t, err, key)
			_, err = readEntry(storage.K(key...), nil)
			require.NoError(t, err, "a deletion")
		}
	}
}

// An item has so many owners and no more, those that have withdrawn included; who
// is one of them may say something else.
func TestOwnersAreBounded(t *testing.T) {
	for _, withdrawn := range []int{0, 1, hoarderapi.OwnersMax} {
		lone(t, nil, func(ctx context.Context, s *Service) {
			root := cidRoot(t)
			for i := range hoarderapi.OwnersMax - 1 {
				owner := fmt.Sprint("owner ", i)
				if i < withdrawn {
					s.put(t, withdrawEntry(root, owner, "", 1))
				} else {
					s.put(t, wantedBy(root, owner, 1))
				}
			}
			it := s.index.get(root)
			unpin := func(owner string) transport.Kind {
				_, err := s.unpin(ctx, transport.Peer{}, hoarderapi.UnpinRequest{Root: root, Owner: owner, Seq: 2})
				return transport.KindOf(err)
			}
			admits := func(owner string, seq uint64) transport.Kind {
				return transport.KindOf(s.admits(it, newPin(pinRecord{Owner: owner, Seq: seq})))
			}
			require.Zero(t, admits("stranger", 0))
			s.put(t, wantedBy(root, "the last", 1))
			require.Equal(t, transport.Refused, admits("stranger", 0))
			require.Equal(t, transport.Refused, unpin("stranger"))
			require.Zero(t, admits("the last", 0))
			require.Zero(t, unpin("the last"), "it has a pin")
			require.Equal(t, transport.Conflict, admits("the last", 2))
			require.Equal(t, transport.Refused, admits("the last", 3), "a withdrawal takes a place, too")
			require.Zero(t, unpin("the last"), "it has withdrawn")
			require.Zero(t, unpin("owner 0"))
			require.Equal(t, transport.Refused, unpin("stranger"))
		})
	}
}

// cidRoot is a root that can be named in a request.
func cidRoot(t require.TestingT) string {
	const root = "bafkreiatgmfyygk4ezkilx65fbsxtywbmhshzq6vinllsc5365i65sdifu"
	cidOf(t, root)
	return root
}

// What is told of a pin is all of it.
func TestAPinIsToldWhole(t *testing.T) {
	s := told(t, pinEntry("r", pinRecord{Kind: hoarderapi.Database, Owner: "o", Name: "n", Seq: 3, Version: 4, Target: 2, For: time.Hour}))
	want := hoarderapi.Owned{Root: "r", Owner: "o", Name: "n", Kind: hoarderapi.Database, Seq: 3, Version: 4, Target: 2, For: time.Hour}
	require.Equal(t, want, owned(s.index.get("r"), s.index.get("r").pins[0]))
	for _, c := range []struct {
		a, b, c, d string
		want       int
	}{{"a", "z", "b", "a", -1}, {"a", "a", "a", "b", -1}, {"a", "b", "a", "b", 0}, {"b", "a", "a", "z", 1}, {"a", "b", "a", "a", 1}} {
		require.Equal(t, c.want, compareOwners(c.a, c.b, c.c, c.d))
	}
}

// An item of which something is left is not forgotten; of one that is, nothing is.
func TestOnlyEmptyItemsAreForgotten(t *testing.T) {
	for _, e := range []storage.Entry{wantedBy("r", "o", 1), claimEntry("r", somePeers(1)[0]), demandEntry("r", somePeers(1)[0]), withdrawEntry("r", "o", "", 1)} {
		s := told(t, e, wantedBy("other", "o", 1))
		it := s.index.get("r")
		s.index.due.set(it, 1)
		s.index.forget(it)
		require.Contains(t, s.index.items, "r")
		_, err := s.index.apply(e.Key, nil, 0)
		require.NoError(t, err)
		s.index.forget(&item{root: "r"})
		require.Contains(t, s.index.items, "r", "that is another one")
		s.index.forget(it)
		require.NotContains(t, s.index.items, "r")
		require.Len(t, s.index.list, 1)
		require.Nil(t, s.index.due.pop(2))
		require.Equal(t, s.index.list, s.index.inOrder())
	}
}

// Planned releases end with the loop; what was planned is planned yet.
func TestPlannedReleasesEndWithTheLoop(t *testing.T) {
	lone(t, nil, func(ctx context.Context, s *Service) {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		s.toYield["r"], s.releasing = true, 2
		s.releaseAll(ended)
		require.Equal(t, map[string]bool{"r": true}, s.toYield)
		require.Equal(t, 1, s.releasing)
		s.untidy = true
		s.releaseAll(ctx)
		require.False(t, s.untidy, "what was removed stays so")
		require.Empty(t, s.toYield)
		require.Empty(t, s.yielding)
		require.Zero(t, s.releasing)
		for i := range releasesMax + 2 {
			s.yield(fmt.Sprint(i))
			s.yield(fmt.Sprint(i))
		}
		require.Equal(t, releasesMax, s.releasing)
		require.Len(t, s.toYield, releasesMax+2)
		s.yielding["running"] = true
		s.yield("running")
		require.NotContains(t, s.toYield, "running")
		clear(s.toYield)
		delete(s.yielding, "running")
		require.NoError(t, clock.Sleep(ctx, s.env.Loop, 1))
		require.Zero(t, s.releasing)
	})
}

// A look at remains belongs to each round of the scrub.
func TestARoundOfTheScrubLooksAtRemains(t *testing.T) {
	lone(t, nil, func(_ context.Context, s *Service) {
		s.remains["r"], s.untidy = true, false
		require.Empty(t, s.nextScrub())
		require.True(t, s.untidy)
		require.False(t, s.rotted(remainsKey("r")))
		s.untidy = false
		require.Empty(t, s.nextScrub())
		require.False(t, s.untidy, "it is sound")
	})
}

// slowHoarder stands in for a hoarder that takes its time.
func slowHoarder(c *nodetest.Cloud, name string, takes time.Duration) *nodetest.Machine {
	return c.Add(name, node.Configured{Spec: nodetest.Part(hoarderapi.Service, func(env node.Env) {
		hoarderapi.Status.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ hoarderapi.Done) (hoarderapi.StatusResponse, error) {
			return hoarderapi.StatusResponse{}, clock.Sleep(ctx, env.Loop, takes)
		})
		hoarderapi.Have.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ hoarderapi.HaveRequest) (hoarderapi.HaveResponse, error) {
			return hoarderapi.HaveResponse{Has: true, Promise: 20 * time.Second}, clock.Sleep(ctx, env.Loop, takes)
		})
	})}).Start()
}

// How long others are waited for: a sign of life, and a confirmation.
func TestHowLongOthersAreWaitedFor(t *testing.T) {
	for takes, answers := range map[time.Duration][2]bool{
		probeTimeout - 1: {true, true}, probeTimeout + 1: {false, true}, confirmTimeout - 1: {false, true}, confirmTimeout + 1: {false, false},
	} {
		inTown(t, 1, nil, func(w *town) {
			slow := slowHoarder(w.Cloud, "slow", takes)
			w.turn(w.hoarders[0], func(ctx context.Context, s *Service) {
				s.roster = newRoster(s.env.Self, time.Minute)
				s.roster.know([]transport.Peer{s.env.Self, slow.Peer()})
				began := s.env.Loop.Elapsed()
				s.probe(ctx)
				require.Equal(t, answers[0], s.roster.member(slow.Peer()).lives(), takes)
				require.Equal(t, began+min(takes, probeTimeout), s.env.Loop.Elapsed())
				began = s.env.Loop.Elapsed()
				confirmed := s.confirm(ctx, "r", []transport.Peer{slow.Peer()}, 1)
				require.Equal(t, answers[1], confirmed == 1, takes)
				require.Equal(t, began+min(takes, confirmTimeout), s.env.Loop.Elapsed())
			})
		})
	}
}

// Content of which a part has rotted is verified, found wanting and fetched once
// more; what cannot be had is an error.
func TestWhatHasRottedIsFetchedOnceMore(t *testing.T) {
	inTown(t, 1, nil, func(w *town) {
		nodetest.Sleep(time.Minute)
		m, root := w.hoarders[0], w.store(500, 1)
		from := []transport.Peer{w.user.Peer()}
		w.turn(m, func(ctx context.Context, s *Service) {
			c := cidOf(t, root)
			require.NoError(t, s.bring(ctx, c, from, 1000))
			require.NoError(t, s.env.Blocks.Sync(ctx))
		})
		w.rot(m, root)
		w.turn(m, func(ctx context.Context, s *Service) {
			c := cidOf(t, root)
			require.Error(t, s.bring(ctx, c, nil, 1000), "nobody has it")
			require.NoError(t, s.bring(ctx, c, from, 1000))
			require.NoError(t, s.env.Blocks.Verify(ctx, c))
			ended, cancel := context.WithCancel(ctx)
			cancel()
			require.NoError(t, s.env.Blocks.Remove(c))
			require.Error(t, s.bring(ended, c, from, 1000))
		})
	})
}
