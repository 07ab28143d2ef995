package tnsapi

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/transport"
)

// A version is news unless it is a repetition or the past.
func TestSupersedes(t *testing.T) {
	seen := Version{Job: "j", Order: 5, Rollback: 1, Token: fencing.Token{Attempt: 2}, Digest: []byte{1}}
	for name, c := range map[string]struct {
		change func(v *Version)
		want   bool
	}{
		"the same":             {func(*Version) {}, false},
		"newer":                {func(v *Version) { v.Job, v.Order, v.Rollback = "k", 6, 0 }, true},
		"older":                {func(v *Version) { v.Job, v.Order, v.Rollback = "k", 4, 9 }, false},
		"rolled back":          {func(v *Version) { v.Job, v.Rollback = "k", 2 }, true},
		"before a rollback":    {func(v *Version) { v.Job, v.Rollback = "k", 0 }, false},
		"another job":          {func(v *Version) { v.Job = "k" }, true},
		"another attempt":      {func(v *Version) { v.Token.Attempt = 3 }, true},
		"another content":      {func(v *Version) { v.Digest = []byte{2} }, true},
		"nothing is published": {func(v *Version) { *v = Version{} }, false},
	} {
		v := seen
		c.change(&v)
		require.Equal(t, c.want, supersedes(v, seen), name)
	}
	require.False(t, supersedes(Version{}, Version{}))
	require.False(t, supersedes(Version{Job: "j"}, Version{}), "an order is from 1")
	require.True(t, supersedes(Version{Job: "j", Order: 1}, Version{}))
}

// hang makes a method that never answers.
func hang[Req, Resp any](env node.Env, m transport.Method[Req, Resp]) {
	m.Serve(env.Wire, func(ctx context.Context, _ transport.Peer, _ Req) (resp Resp, err error) {
		return resp, clock.Sleep(ctx, env.Loop, time.Hour)
	})
}

// A silent tns is waited for as long as it says, and then that is an error.
func TestSilenceIsBounded(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		c.Add("tns", node.Configured{Spec: nodetest.Part(Service, func(env node.Env) {
			hang(env, Fence)
			hang(env, Publish)
			hang(env, Current)
			hang(env, Lookup)
			hang(env, History)
			hang(env, Rollback)
		})}).Start()
		user := c.Caller("user", "monkey")
		client := NewClient(user.Env.Wire)
		for name, call := range map[string]struct {
			limit time.Duration
			do    func(ctx context.Context) error
		}{
			"fence":    {8 * time.Second, func(ctx context.Context) error { return client.Fence(ctx, "p", "b", "j", fencing.Token{}) }},
			"publish":  {8 * time.Second, func(ctx context.Context) error { _, err := client.Publish(ctx, PublishRequest{}); return err }},
			"current":  {2 * time.Second, func(ctx context.Context) error { _, err := client.Current(ctx, "p", "b"); return err }},
			"lookup":   {2 * time.Second, func(ctx context.Context) error { _, err := client.Lookup(ctx, "p", "b", ""); return err }},
			"history":  {2 * time.Second, func(ctx context.Context) error { _, err := client.History(ctx, "p", "b"); return err }},
			"rollback": {8 * time.Second, func(ctx context.Context) error { _, err := client.Rollback(ctx, "p", "b", "c"); return err }},
		} {
			began := time.Now()
			user.Do(func(ctx context.Context) {
				require.Equal(t, transport.Unreachable, transport.KindOf(call.do(ctx)), name)
			})
			require.Equal(t, call.limit, time.Since(began), name)
		}
	})
}

// Who lies about pages does not hold a reader for ever.
func TestAnEmptyPageIsTheLast(t *testing.T) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		pages := []LookupResponse{{Entries: []Entry{{Path: "a"}}, More: true, Pin: "1"}, {More: true}}
		var asked []LookupRequest
		c.Add("tns", node.Configured{Spec: nodetest.Part(Service, func(env node.Env) {
			Lookup.Serve(env.Wire, func(_ context.Context, _ transport.Peer, req LookupRequest) (LookupResponse, error) {
				asked = append(asked, req)
				return pages[min(len(asked), len(pages))-1], nil
			})
		})}).Start()
		user := c.Caller("user", "monkey")
		user.Do(func(ctx context.Context) {
			list, err := NewClient(user.Env.Wire).Lookup(ctx, "p", "b", "x")
			require.NoError(t, err)
			require.Equal(t, []Entry{{Path: "a"}}, list)
		})
		require.Equal(t, []LookupRequest{{Project: "p", Branch: "b", Prefix: "x"}, {Project: "p", Branch: "b", Prefix: "x", Pin: "1", After: "a"}}, asked)
	})
}
