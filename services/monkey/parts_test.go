package monkey

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// A project in several repositories is built of the job's commit and of what the others have now, whichever of them the job is of.
func TestAProjectInSeveralRepositories(t *testing.T) {
	atForge(t, func(f *forge) {
		commit := func(c string) string { return strings.Repeat(c, 40) }
		repository := func(name string, holds build.Holds) authapi.Repository {
			return authapi.Repository{Name: name, Project: "p", URL: "https://forge.example.com/" + name, Holds: holds}
		}
		all := []authapi.Repository{
			repository("config", build.Configuration), repository("code", build.FunctionCode), repository("site", build.Resource), repository("other", build.Resource),
		}
		trees := map[string]patrickapi.Tree{
			"config": {Files: []patrickapi.File{
				{Path: "config.yaml", Data: []byte("name: p\n")},
				{Path: "functions/ping.yaml", Data: []byte("trigger: {type: https, method: GET, paths: [/ping]}\nsource: .\nexecution: {timeout: 1s, memory: 1MB, call: ping}\n")},
				{Path: "websites/gone.yaml", Data: []byte("paths: [/gone]\nsource: {repository: https://forge.example.com/gone}\n")},
				{Path: "websites/site.yaml", Data: []byte("paths: [/]\nsource: {repository: https://forge.example.com/site}\n")},
			}},
			"code": {Files: []patrickapi.File{{Path: "functions/ping/go.mod", Data: []byte("module ping\n")}, {Path: "tau.yaml", Data: []byte("name: mallory\n")}}},
			"site": {Files: []patrickapi.File{{Path: "index.html", Data: []byte("<p>")}}},
		}
		f.heads = map[string]string{}
		for i, r := range all {
			f.heads[r.URL] = commit(fmt.Sprint(i))
		}
		f.answer = func(s Source) (patrickapi.Tree, error) {
			return trees[strings.TrimPrefix(s.URL, "https://forge.example.com/")], nil
		}
		of := func(name string) {
			f.source = authapi.SourceResponse{}
			for _, r := range all {
				if r.Name == name {
					f.source.Repository = r
				} else {
					f.source.Parts = append(f.source.Parts, authapi.Part{Repository: r, Keys: [][]byte{[]byte("key of " + r.Name)}})
				}
			}
		}
		f.build = func(context.Context, clock.Loop, Request) (Result, error) { return Result{Artifact: []byte(ping)}, nil }
		for n, name := range []string{"config", "code", "site"} {
			of(name)
			f.fetched, f.logged = nil, nil
			f.run(n + 1)
			require.Len(t, f.finished, n+1)
			require.True(t, f.finished[n].Success, f.finished[n].Error)
			last := f.requests[len(f.requests)-1]
			require.Equal(t, "functions/ping", last.Step.Folder)
			var paths []string
			for _, file := range last.Tree.Files {
				paths = append(paths, file.Path)
			}
			require.Equal(t, []string{"config.yaml", "functions/ping.yaml", "functions/ping/go.mod", "repositories/site/index.html", "websites/gone.yaml", "websites/site.yaml"}, paths)
			want := map[string]string{"config": commit("0"), "code": commit("1"), "site": commit("2")}
			delete(want, name)
			require.Equal(t, want, last.Parts)
			for _, s := range f.fetched {
				if r := strings.TrimPrefix(s.URL, "https://forge.example.com/"); r == name {
					require.Equal(t, commit("c"), s.Commit)
				} else {
					require.Equal(t, want[r], s.Commit)
					require.Equal(t, "key of "+r, string(s.Key))
				}
			}
			require.Contains(t, fmt.Sprintf("%+v", f.logged), "websites/gone: its repository https://forge.example.com/gone is none that auth knows of")
		}

		// A branch that ends in the code's repository goes on with what that shows first; that of the configuration ends all.
		f.grant = func(g *patrickapi.Grant) { g.Job.Forge, g.Job.Commit = true, patrickapi.NoCommit }
		of("code")
		f.run(10)
		require.True(t, f.finished[3].Success, f.finished[3].Error)
		require.Equal(t, map[string]string{"config": commit("0"), "code": commit("1"), "site": commit("2")}, f.requests[len(f.requests)-1].Parts)
		of("config")
		f.run(11)
		require.Empty(t, f.published[len(f.published)-1].Entries)

		// What is missing is the fault of whoever set it up.
		f.grant = func(g *patrickapi.Grant) { g.Job.Forge, g.Job.Commit = true, commit("c") }
		all = all[1:]
		of("code")
		f.run(12)
		last := f.finished[len(f.finished)-1]
		require.True(t, last.Permanent)
		require.Contains(t, last.Error, "--holds configuration")
		all = append(all, repository("a", build.Configuration), repository("b", ""))
		of("code")
		f.run(13)
		require.Contains(t, f.finished[len(f.finished)-1].Error, "both hold the configuration")
	})
}

// Two websites of one repository, each of its own branch, are both what their branch has.
func TestSeveralBranchesOfARepository(t *testing.T) {
	atForge(t, func(f *forge) {
		const config, site = "https://forge.example.com/config", "https://forge.example.com/site"
		website := func(branch string) []byte {
			return []byte("paths: [/" + branch + "]\nsource: {branch: " + branch + ", repository: " + site + "}\n")
		}
		f.source = authapi.SourceResponse{
			Repository: authapi.Repository{Name: "config", Project: "p", URL: config, Holds: build.Configuration},
			Parts:      []authapi.Part{{Repository: authapi.Repository{Name: "site", Project: "p", URL: site, Holds: build.Resource}}},
		}
		next, old := strings.Repeat("1", 40), strings.Repeat("2", 40)
		f.heads = map[string]string{site + "#next": next, site + "#old": old}
		f.answer = func(s Source) (patrickapi.Tree, error) {
			if s.URL == site {
				return patrickapi.Tree{Files: []patrickapi.File{{Path: "index.html", Data: []byte(s.Branch + " at " + s.Commit)}}}, nil
			}
			return patrickapi.Tree{Files: []patrickapi.File{
				{Path: "config.yaml", Data: []byte("name: p\n")}, {Path: "websites/a.yaml", Data: website("next")}, {Path: "websites/b.yaml", Data: website("old")},
			}}, nil
		}
		f.run(1)
		require.True(t, f.finished[0].Success, f.finished[0].Error)
		entries := map[string]string{}
		for _, e := range f.published[0].Entries {
			entries[e.Path] = string(e.Value)
		}
		p, err := build.DecodeProvenance([]byte(entries[build.ProvenancePath]))
		require.NoError(t, err)
		require.Equal(t, map[string]string{"site": next, "site@old": old}, p.Parts)
		for name, want := range map[string]string{"a": "next at " + next, "b": "old at " + old} {
			got, err := build.DecodeAsset([]byte(entries[build.AssetsPrefix+"websites/"+name]))
			require.NoError(t, err)
			fsys, err := build.FS([]build.File{{Path: "site/index.html", Data: []byte(want)}})
			require.NoError(t, err)
			site, _, err := build.Make(build.Step{Toolchain: build.Static, Folder: "site"}, fsys)
			require.NoError(t, err)
			sum := sha256.Sum256(site)
			require.Equal(t, hex.EncodeToString(sum[:]), got.Hash, name)
		}
	})
}
