package scenarios

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
)

func treeOf(files map[string]string) patrickapi.Tree {
	var t patrickapi.Tree
	for name, data := range files {
		t.Files = append(t.Files, patrickapi.File{Path: name, Data: []byte(data)})
	}
	decoded, err := patrickapi.DecodeTree(t.Encode())
	if err != nil {
		panic(err)
	}
	return decoded
}

// simBuild runs the simulated builder on a live loop, without taking time.
func simBuild(t *testing.T, files map[string]string, attempt uint64) (monkey.Result, error) {
	loop := clock.NewLive()
	defer loop.Stop(time.Second)
	b := &simulatedBuilder{loop: loop, rand: rand.New(rand.NewPCG(1, 1))}
	var result monkey.Result
	var err error
	require.NoError(t, clock.Do(context.Background(), loop, func(ctx context.Context) {
		result, err = b.Build(ctx, monkey.Request{Attempt: attempt, Tree: treeOf(files), Log: func(string) {}})
	}))
	return result, err
}

func TestEqualTreesGiveEqualArtifacts(t *testing.T) {
	files := map[string]string{"a": "1", "b/c": "2", manifestPath: "size: 1000"}
	first, err := simBuild(t, files, 1)
	require.NoError(t, err)
	second, err := simBuild(t, files, 2)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.GreaterOrEqual(t, len(first.Artifact), 1000)
	other, err := simBuild(t, map[string]string{"a": "2", "b/c": "2", manifestPath: "size: 1000"}, 1)
	require.NoError(t, err)
	require.NotEqual(t, first.Artifact, other.Artifact)
}

func TestManifestDecidesHowABuildEnds(t *testing.T) {
	for name, c := range map[string]struct {
		manifest string
		attempt  uint64
		fails    bool
		user     bool
	}{
		"nothing":           {"", 1, false, false},
		"permanent":         {"fail: permanent", 2, true, true},
		"once, first":       {"fail: once", 1, true, false},
		"once, second":      {"fail: once", 2, false, false},
		"unknown key":       {"fial: once", 1, true, true},
		"no duration":       {"time: soon", 1, true, true},
		"enormous artifact": {"size: 1000000000", 1, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := simBuild(t, map[string]string{manifestPath: c.manifest}, c.attempt)
			require.Equal(t, c.fails, err != nil, "%v", err)
			require.Equal(t, c.user, monkey.IsUserError(err))
		})
	}
}

// TestPushSizes: what a push says of sizes is so at both ends.
func TestPushSizes(t *testing.T) {
	p := pushParams{Project: "hello", Commit: "c", TreeSize: 50_000, ArtifactSize: 90_000}
	req, err := p.request(node.Env{})
	require.NoError(t, err)
	require.Greater(t, len(req.Tree), 50_000)
	require.Less(t, len(req.Tree), 52_000)
	want, err := buildOf(req.Tree)
	require.NoError(t, err)
	tree, err := patrickapi.DecodeTree(req.Tree)
	require.NoError(t, err)
	files := map[string]string{}
	for _, f := range tree.Files {
		files[f.Path] = string(f.Data)
	}
	got, err := simBuild(t, files, 1)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(got.Artifact), 90_000)
	root, err := storage.RootOf(got.Artifact)
	require.NoError(t, err)
	require.Equal(t, want.artifact, root.String())
}
