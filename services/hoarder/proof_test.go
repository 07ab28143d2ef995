package hoarder

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
)

// proofOf is the proof of a stand-in that has the content.
func proofOf(ctx context.Context, env node.Env, content, nonce []byte) []byte {
	root, err := env.Blocks.Add(ctx, content)
	if err != nil {
		return nil
	}
	digest, err := contentDigest(ctx, env.Blocks, root, nonce)
	if err != nil {
		return nil
	}
	return proofBy(env.Self, digest)
}

// answers are what a hoarder may send for a proof, given the right one.
type answers struct {
	name  string
	proof func(ctx context.Context, env node.Env, content, nonce []byte) []byte
	right bool
}

func proofs() []answers {
	other := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[0]++
		return b
	}
	return []answers{
		{"right", proofOf, true},
		{"of another nonce", func(ctx context.Context, env node.Env, content, nonce []byte) []byte {
			return proofOf(ctx, env, content, other(nonce))
		}, false},
		{"of another peer", func(ctx context.Context, env node.Env, content, nonce []byte) []byte {
			env.Self = transport.Peer{7}
			return proofOf(ctx, env, content, nonce)
		}, false},
		{"of other content", func(ctx context.Context, env node.Env, content, nonce []byte) []byte {
			return proofOf(ctx, env, other(content), nonce)
		}, false},
		{"of content that lacks its last block", func(ctx context.Context, env node.Env, content, nonce []byte) []byte {
			return proofOf(ctx, env, content[:256<<10], nonce)
		}, false},
		{"of one bit less", func(ctx context.Context, env node.Env, content, nonce []byte) []byte {
			return other(proofOf(ctx, env, content, nonce))
		}, false},
		{"cut short", func(ctx context.Context, env node.Env, content, nonce []byte) []byte {
			return proofOf(ctx, env, content, nonce)[:31]
		}, false},
		{"none, as who does not know of proofs", func(context.Context, node.Env, []byte, []byte) []byte { return nil }, false},
	}
}

// TestWhatIsNotProvedDoesNotCount, neither as a reason to let a copy go nor as a second copy, and who
// says so is not believed any more, of other items either.
func TestWhatIsNotProvedDoesNotCount(t *testing.T) {
	for _, c := range proofs() {
		t.Run(c.name, func(t *testing.T) {
			inTown(t, 1, nil, func(w *town) {
				content := bytes.Repeat([]byte{1}, 300<<10) // two leaves, and their parent
				var nonces [][]byte
				other := w.Add("other", node.Configured{Spec: nodetest.Part(hoarderapi.Service, func(env node.Env) {
					hoarderapi.Have.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, req hoarderapi.HaveRequest) (hoarderapi.HaveResponse, error) {
						nonces = append(nonces, req.Nonce)
						return hoarderapi.HaveResponse{Has: true, Promise: time.Hour, Proof: c.proof(ctx, env, content, req.Nonce)}, nil
					})
					pinCopy.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, req hoarderapi.PinRequest) (hoarderapi.PinResponse, error) {
						nonces = append(nonces, req.Nonce)
						return hoarderapi.PinResponse{Holder: env.Self, Copies: 1, Records: 1, Proof: c.proof(ctx, env, content, req.Nonce)}, nil
					})
				})}).Start().Peer()
				nodetest.Sleep(5 * time.Second)
				root := w.store(len(content), 1)
				req := asset(root, "me")
				req.Target = 2
				want := map[bool]int{true: 1}[c.right]
				w.turn(w.hoarders[0], func(ctx context.Context, s *Service) {
					s.roster.know([]transport.Peer{other})
					s.roster.saw(other, true, s.env.Loop.Elapsed())
					req.Holders = []transport.Peer{w.user.Peer()}
					require.NoError(t, s.keep(ctx, w.user.Peer(), &req))
					s.put(t, claimEntry("another", other))
					copies, err := s.passOn(ctx, w.user.Peer(), req, 0)
					require.NoError(t, err)
					require.Equal(t, want, copies)
					counted, live := s.index.get("another").copies()
					require.Equal(t, [2]int{want, want}, [2]int{counted, live})
					if !c.right {
						s.roster.saw(other, false, s.env.Loop.Elapsed())
						require.NotContains(t, s.passOnTo(s.index.get(root)), other, "missing or not")
						s.roster.saw(other, true, s.env.Loop.Elapsed())
						require.NotContains(t, s.passOnTo(s.index.get(root)), other, "it is not asked again")
						s.roster.member(other).liar = false
					}
					require.Equal(t, want, s.confirm(ctx, root, []transport.Peer{other}, 1))
					require.Equal(t, !c.right, s.roster.member(other).liar)
				})
				require.Len(t, nonces, 2)
				require.NotEqual(t, nonces[0], nonces[1])
				require.Len(t, nonces[0], hoarderapi.NonceLen)
				require.Len(t, w.Facts("proof-wrong"), 2-2*want)
			})
		})
	}
}

// A nonce has its length: others are refused, and none asks for no proof.
func TestNoncesHaveTheirLength(t *testing.T) {
	pinned(t, func(ctx context.Context, _ *town, s *Service, root string) {
		for n, valid := range map[int]bool{0: true, 1: false, 31: false, 32: true, 33: false, 1 << 16: false} {
			resp, err := s.have(ctx, transport.Peer{}, hoarderapi.HaveRequest{Root: root, Nonce: make([]byte, n)})
			require.Equal(t, valid, err == nil, n)
			require.Equal(t, valid, resp.Has, n)
			require.Len(t, resp.Proof, map[bool]int{true: 32}[n == 32])
			req := asset(root, "me")
			req.Nonce = make([]byte, n)
			require.Equal(t, valid, validatePin(&req, s.settings) == nil, n)
		}
	})
}

// What is asked with a copy that is bad here is nothing: it is mended, and nothing rests on it.
func TestABadCopyJudgesNobody(t *testing.T) {
	pinned(t, func(ctx context.Context, w *town, s *Service, root string) {
		require.NoError(t, s.env.Blocks.Remove(cidOf(t, root)))
		require.Zero(t, s.confirm(ctx, root, []transport.Peer{w.user.Peer()}, 1))
		require.Len(t, w.Facts("item-corrupted"), 1)
		require.Empty(t, w.Facts("release-asked"))
	})
}
