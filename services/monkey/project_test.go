package monkey

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// ping is a module that exports a function of that name.
const ping = "\x00asm\x01\x00\x00\x00\x07\x08\x01\x04ping\x00\x00"

func shop(change func(files map[string]string)) (list []patrickapi.File) {
	files := map[string]string{
		"tau.yaml":                 "name: shop\nfunctions:\n  ping: {paths: [/ping]}\n  slow: {paths: [/slow], call: ping}\nwebsites:\n  site: {paths: [/]}\n",
		"functions/ping/main.wasm": ping, "functions/slow/go.mod": "module slow\n", "websites/site/index.html": "<p>hello",
	}
	change(files)
	for path, data := range files {
		list = append(list, patrickapi.File{Path: path, Data: []byte(data)})
	}
	return list
}

func goes(y *yard) {
	y.build = func(_ context.Context, _ clock.Loop, r Request) (Result, error) {
		return Result{Artifact: []byte(ping + "\x00\x00"), Toolchain: "go1"}, nil
	}
}

// All of a project appears in one publication, and only the steps that need a program are the builder's.
func TestAProjectIsPublishedAtOnce(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		goes(y)
		y.files = shop(func(map[string]string) {})
		y.offer(job(1))
		nodetest.Sleep(3 * time.Second)
		require.Len(t, y.published, 1)
		require.Equal(t, 1, y.builds)
		require.Equal(t, "functions/slow", y.requests[0].Step.Folder)
		var paths []string
		for _, e := range y.published[0].Entries {
			if asset, is := strings.CutPrefix(e.Path, build.AssetsPrefix); is {
				a, err := build.DecodeAsset(e.Value)
				require.NoError(t, err)
				require.Equal(t, asset == "functions/slow", a.Version == "go1")
			}
			paths = append(paths, e.Path)
		}
		for _, want := range []string{"project", "functions/ping", "functions/slow", "websites/site", "assets/functions/ping", "assets/functions/slow", "assets/websites/site", "provenance"} {
			require.Contains(t, paths, want)
		}
		require.True(t, slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p, "routes/") }))
		require.True(t, y.finished[0].Success)
	})
}

// TestAnotherBranchHasHostsOfItsOwn: nothing of a branch that is not in production is at the hosts of the project.
func TestAnotherBranchHasHostsOfItsOwn(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		goes(y)
		y.files = shop(func(map[string]string) {})
		routes := map[string][]string{}
		for i, branch := range []string{"main", "next"} {
			y.grant = func(g *patrickapi.Grant) { g.Job.Branch = branch }
			y.offer(job(i + 1))
			nodetest.Sleep(3 * time.Second)
			require.Len(t, y.published, i+1)
			for _, e := range y.published[i].Entries {
				if host, is := strings.CutPrefix(e.Path, project.RoutesPrefix); is {
					routes[branch] = append(routes[branch], host)
				}
			}
		}
		require.NotEmpty(t, routes["main"])
		require.Len(t, routes["next"], len(routes["main"]))
		for _, host := range routes["next"] {
			require.NotContains(t, routes["main"], host)
			require.True(t, strings.HasPrefix(host, "next-"), host)
		}
	})
}

// What is wrong with a project is its pusher's fault: final at once, and nothing is published.
func TestABadProjectChangesNothing(t *testing.T) {
	for text, change := range map[string]func(files map[string]string){
		"tau.yaml:":                                 func(f map[string]string) { f["tau.yaml"] = "name: shop\nfunctoins: {}\n" },
		`exports no function "ping"`:                func(f map[string]string) { f["functions/ping/main.wasm"] = ping[:8] },
		"nothing in functions/slow says how":        func(f map[string]string) { delete(f, "functions/slow/go.mod"); f["functions/slow/x"] = "" },
		"it is no WebAssembly module":               func(f map[string]string) { f["functions/ping/main.wasm"] = "#!/bin/sh" },
		"websites/site: websites/site/.taubyte/con": func(f map[string]string) { f["websites/site/.taubyte/config.yaml"] = "" },
	} {
		inYard(t, without{}, nil, func(y *yard) {
			goes(y)
			y.files = shop(change)
			y.offer(job(1))
			nodetest.Sleep(3 * time.Second)
			require.Len(t, y.finished, 1, text)
			require.True(t, y.finished[0].Permanent, y.finished[0].Error)
			require.Contains(t, y.finished[0].Error, text)
			require.Empty(t, y.published)
			require.Empty(t, y.pinned)
		})
	}
}

// provenanceOf is what a publication says of itself.
func provenanceOf(y *yard, n int) build.Provenance {
	require.Greater(y, len(y.published), n)
	for _, e := range y.published[n].Entries {
		if e.Path == build.ProvenancePath {
			p, err := build.DecodeProvenance(e.Value)
			require.NoError(y, err)
			return p
		}
	}
	require.Fail(y, "no provenance")
	return build.Provenance{}
}

// A step that has not changed is spared if the toolchain has not, either, and if what it came to can be had.
func TestWhatDidNotChangeIsTakenOver(t *testing.T) {
	for name, c := range map[string]struct {
		change func(y *yard)
		builds int
	}{
		"nothing changed":       {func(*yard) {}, 1},
		"the sources":           {func(y *yard) { y.files = shop(func(f map[string]string) { f["functions/slow/a.go"] = "" }) }, 2},
		"another folder":        {func(y *yard) { y.files = shop(func(f map[string]string) { f["websites/site/index.html"] = "<p>bye" }) }, 1},
		"the toolchain":         {func(y *yard) { y.toolchain = "go2" }, 2},
		"nobody knows which":    {func(y *yard) { y.toolchain = "" }, 2},
		"no hoarder has it":     {func(y *yard) { y.bundles = nil }, 2},
		"a hoarder has another": {func(y *yard) { y.bundles = [][]byte{[]byte("else")} }, 2},
	} {
		inYard(t, without{}, nil, func(y *yard) {
			goes(y)
			y.toolchain = "go1"
			y.files = shop(func(map[string]string) {})
			built := []byte(ping + "\x00\x00")
			y.bundles = [][]byte{append([]byte(ping), append(built, site(y)...)...)}
			y.offer(job(1))
			nodetest.Sleep(3 * time.Second)
			require.Equal(t, 1, y.builds, name)
			c.change(y)
			y.offer(job(2))
			nodetest.Sleep(40 * time.Second)
			require.Equal(t, c.builds, y.builds, name)
			p := provenanceOf(y, 1)
			require.Equal(t, 2-c.builds, p.Reused, name)
			require.Equal(t, 3, p.Built+p.Reused, name)
			require.Empty(t, y.stored(), name)
		})
	}
}

// site is the asset of the website of a shop.
func site(y *yard) []byte {
	var files []build.File
	for _, f := range y.files {
		files = append(files, build.File{Path: f.Path, Data: f.Data})
	}
	fsys, err := build.FS(files)
	require.NoError(y, err)
	asset, _, err := build.Make(build.Step{Toolchain: build.Static, Folder: "websites/site"}, fsys)
	require.NoError(y, err)
	return asset
}
