package evidence

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/fixtures"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/scenarios/ports"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
)

// treeOf is the tree of a commit of a fixture, and more files.
func treeOf(t *testing.T, fixture, commit string, more ...patrickapi.File) patrickapi.Tree {
	files, err := fixtures.Commit(fixture, commit)
	require.NoError(t, err)
	var tree patrickapi.Tree
	for _, name := range slices.Sorted(maps.Keys(files)) {
		tree.Files = append(tree.Files, patrickapi.File{Path: name, Data: files[name]})
	}
	tree.Files = append(tree.Files, more...)
	return tree
}

// TestProjectsOfFixtures: what a commit comes to is its own, and the valid ones are valid.
func TestProjectsOfFixtures(t *testing.T) {
	for fixture, assets := range map[string]int{"market": 6, "stall": 2, "stall-moved-out": 1} {
		tree := treeOf(t, fixture, "c1")
		fsys, err := build.FS(slices.Collect(func(yield func(build.File) bool) {
			for _, f := range tree.Files {
				yield(build.File{Path: f.Path, Data: f.Data})
			}
		}))
		require.NoError(t, err)
		entries, bundle, err := assembled(fixture, production, tree, fsys)
		require.NoError(t, err, fixture)
		require.Len(t, bundle.Entries(), assets)
		require.NotEmpty(t, entries)
		one, err := BuildOf(fixture, production, tree.Encode())
		require.NoError(t, err)
		require.Empty(t, one.Fail)
		two, err := BuildOf(fixture, production, treeOf(t, fixture, "c2").Encode())
		require.NoError(t, err)
		require.NotEqual(t, one.Artifact, two.Artifact)
		require.NotEqual(t, one.Entries, two.Entries)
		require.NotEqual(t, one.Assets, two.Assets)
	}
	for fixture, more := range map[string][]patrickapi.File{
		"market-misspelt": nil, "market": {{Path: ports.ManifestPath, Data: []byte("fail: permanent")}},
	} {
		b, err := BuildOf(fixture, production, treeOf(t, fixture, "c1", more...).Encode())
		require.NoError(t, err)
		require.Equal(t, "permanent", b.Fail)
		require.Empty(t, b.Artifact)
	}
	_, has := treeOf(t, "market", "c1").File(project.MonoFile)
	require.True(t, has)
}

func TestPublishedDigestLeavesOutWhoHasBuilt(t *testing.T) {
	list := []tnsapi.Entry{{Path: "project", Value: []byte("a")}}
	with := append(slices.Clone(list), tnsapi.Entry{Path: build.ProvenancePath, Value: []byte("b")})
	require.Equal(t, PublishedDigest(list), PublishedDigest(with))
	require.NotEqual(t, EntriesDigest(list), EntriesDigest(with))
	require.NotEqual(t, AssetsDigest(map[string]string{"a": "b"}), AssetsDigest(map[string]string{"a": "c"}))
}
