package jobs

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/taucloud/tau/storage/blocks"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/ports"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// TestPushSizes: what a push says of sizes is so at both ends.
func TestPushSizes(t *testing.T) {
	p := pushParams{Project: "hello", Commit: "c", TreeSize: 50_000, ArtifactSize: 90_000}
	req, err := p.request(node.Env{})
	require.NoError(t, err)
	require.Greater(t, len(req.Tree), 50_000)
	require.Less(t, len(req.Tree), 52_000)
	want, err := evidence.BuildOf(req.Project, req.Branch, req.Tree)
	require.NoError(t, err)
	tree, err := patrickapi.DecodeTree(req.Tree)
	require.NoError(t, err)
	loop := clock.NewLive()
	defer loop.Stop(time.Second)
	b := &ports.Builder{Loop: loop, Rand: rand.New(rand.NewPCG(1, 1))}
	var got monkey.Result
	require.NoError(t, clock.Do(context.Background(), loop, func(ctx context.Context) {
		got, err = b.Build(ctx, monkey.Request{Attempt: 1, Tree: tree, Log: func(string) {}})
	}))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(got.Artifact), 90_000)
	root, err := blocks.RootOf(got.Artifact)
	require.NoError(t, err)
	require.Equal(t, want.Artifact, root.String())
}
