package ports

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick/patrickapi"
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
	b := &Builder{Loop: loop, Rand: rand.New(rand.NewPCG(1, 1))}
	var result monkey.Result
	var err error
	require.NoError(t, clock.Do(context.Background(), loop, func(ctx context.Context) {
		result, err = b.Build(ctx, monkey.Request{Attempt: attempt, Tree: treeOf(files), Log: func(string) {}})
	}))
	return result, err
}

func TestEqualTreesGiveEqualArtifacts(t *testing.T) {
	files := map[string]string{"a": "1", "b/c": "2", ManifestPath: "size: 1000"}
	first, err := simBuild(t, files, 1)
	require.NoError(t, err)
	second, err := simBuild(t, files, 2)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.GreaterOrEqual(t, len(first.Artifact), 1000)
	other, err := simBuild(t, map[string]string{"a": "2", "b/c": "2", ManifestPath: "size: 1000"}, 1)
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
			_, err := simBuild(t, map[string]string{ManifestPath: c.manifest}, c.attempt)
			require.Equal(t, c.fails, err != nil, "%v", err)
			require.Equal(t, c.user, monkey.IsUserError(err))
		})
	}
}
