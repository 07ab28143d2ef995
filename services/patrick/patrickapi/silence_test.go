package patrickapi_test

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
)

// hang makes a method that never answers.
func hang[Req, Resp any](env node.Env, m transport.Method[Req, Resp]) {
	m.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ Req) (resp Resp, err error) {
		return resp, clock.Sleep(ctx, env.Loop, 2*time.Hour)
	})
}

// A silent patrick is waited for as long as it says, and for what is large longer.
func TestSilenceIsBounded(t *testing.T) {
	const s = time.Second
	job := patrickapi.JobID("r", "b", "c", patrickapi.Event{ID: "e", Order: 1})
	nodetest.Run(t, func(c *nodetest.Cloud) {
		now := patrickapi.Job{ID: job, Status: patrickapi.Failed, TreeSize: 8 << 10, Rebuilds: 2}
		var rebuilds []patrickapi.RebuildRequest
		silent := true
		c.Add("patrick", node.Configured{Spec: nodetest.Part("patrick", func(env node.Env) {
			hang(env, patrickapi.Push)
			hang(env, patrickapi.NewEvent)
			hang(env, patrickapi.Claim)
			hang(env, patrickapi.Renew)
			hang(env, patrickapi.Finish)
			hang(env, patrickapi.OpenJobs)
			hang(env, patrickapi.List)
			hang(env, patrickapi.Cancel)
			hang(env, patrickapi.Logs)
			patrickapi.GetJob.Serve(env.Wire, func(context.Context, transport.Peer, patrickapi.JobRequest) (patrickapi.Job, error) { return now, nil })
			patrickapi.Rebuild.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, req patrickapi.RebuildRequest) (resp patrickapi.RebuildResponse, err error) {
				rebuilds = append(rebuilds, req)
				if silent {
					err = clock.Sleep(ctx, env.Loop, time.Hour)
				}
				return resp, err
			})
		})}).Start()
		user := c.Caller("user", "monkey")
		client := patrickapi.NewClient(user.Env.Wire)
		for name, call := range map[string]struct {
			limit time.Duration
			do    func(ctx context.Context) error
		}{
			"event": {5 * s, func(ctx context.Context) error { _, err := client.NewEvent(ctx, "p", "r", "b", "e", 0); return err }},
			"push":  {15 * s, func(ctx context.Context) error { _, err := client.Push(ctx, patrickapi.PushRequest{}); return err }},
			"large push": {21 * s, func(ctx context.Context) error {
				_, err := client.Push(ctx, patrickapi.PushRequest{Tree: make([]byte, 8<<10)})
				return err
			}},
			"claim":  {5 * s, func(ctx context.Context) error { _, err := client.Claim(ctx, patrickapi.ClaimRequest{}); return err }},
			"renew":  {5 * s, func(ctx context.Context) error { _, err := client.Renew(ctx, patrickapi.RenewRequest{}); return err }},
			"finish": {12 * s, func(ctx context.Context) error { _, err := client.Finish(ctx, patrickapi.FinishRequest{}); return err }},
			"finish with a log": {16 * s, func(ctx context.Context) error {
				_, err := client.Finish(ctx, patrickapi.FinishRequest{LogSize: 8 << 10})
				return err
			}},
			"finish with an absurd log": {(12 + 512) * s, func(ctx context.Context) error {
				_, err := client.Finish(ctx, patrickapi.FinishRequest{LogSize: 1 << 40})
				return err
			}},
			"open":    {5 * s, func(ctx context.Context) error { _, err := client.Open(ctx, "k", patrickapi.OpenRequest{}); return err }},
			"list":    {5 * s, func(ctx context.Context) error { _, err := client.List(ctx, patrickapi.ListRequest{}); return err }},
			"cancel":  {5 * s, func(ctx context.Context) error { _, err := client.Cancel(ctx, job); return err }},
			"logs":    {8 * s, func(ctx context.Context) error { _, err := client.Logs(ctx, job); return err }},
			"rebuild": {19 * s, func(ctx context.Context) error { _, err := client.Rebuild(ctx, job); return err }},
		} {
			began := time.Now()
			user.Do(func(ctx context.Context) {
				require.Equal(t, transport.Timeout, transport.KindOf(call.do(ctx)), name)
			})
			require.Equal(t, call.limit, time.Since(began), name)
		}
		silent = false
		for range 2 { // of what has ended the next one, of what has not the same
			user.Do(func(ctx context.Context) {
				_, err := client.Rebuild(ctx, job)
				require.NoError(t, err)
			})
			now.Status = patrickapi.Open
		}
		require.Equal(t, []int{3, 3, 2}, []int{rebuilds[0].N, rebuilds[1].N, rebuilds[2].N})
	})
}

func TestTheBoundsOfATree(t *testing.T) {
	files := func(n int) (tree patrickapi.Tree) {
		for i := range n {
			tree.Files = append(tree.Files, patrickapi.File{Path: fmt.Sprintf("%04d", i)})
		}
		return tree
	}
	for n, ok := range map[int]bool{4096: true, 4097: false} {
		tree, err := patrickapi.DecodeTree(files(n).Encode())
		require.Equal(t, ok, err == nil)
		if ok {
			require.Len(t, tree.Files, n)
		} else {
			require.Equal(t, transport.Invalid, transport.KindOf(err))
		}
	}
	one := patrickapi.Tree{Files: []patrickapi.File{{Path: "a"}}}
	one.Files[0].Data = make([]byte, patrickapi.TreeLenMax-len(one.Encode())-4) // the length takes four bytes more
	require.Len(t, one.Encode(), patrickapi.TreeLenMax)
	_, err := patrickapi.DecodeTree(one.Encode())
	require.NoError(t, err)
	one.Files[0].Data = append(one.Files[0].Data, 0)
	_, err = patrickapi.DecodeTree(one.Encode())
	require.ErrorContains(t, err, "too large")
	_, err = patrickapi.DecodeTree([]byte("nonsense"))
	require.Error(t, err)
}
