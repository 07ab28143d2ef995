package forges

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/scenarios/forge"
	"github.com/taucloud/tau/scenarios/ports"
	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/scenarios/words/users"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// A project of several repositories has a function, whose code is in PROJECT-code, and a website in PROJECT-site; its configuration may be
// anywhere. All that is of a commit has its mark in it.

// marked is what marks what is of a commit, as that of fixtures.
func marked(mark string) string { return "made-of-commit-" + mark + "~" }

// partFiles are those of a repository at a commit.
func partFiles(s secrets, mark string) map[string]string {
	switch s.Holds {
	case build.Configuration:
		return map[string]string{
			"config.yaml":         "name: shop\ndescription: " + marked(mark) + "\n",
			"functions/ping.yaml": "trigger: {type: https, method: GET, paths: [/ping]}\nsource: .\nexecution: {timeout: 1s, memory: 1MB, call: ping}\n",
			"websites/site.yaml":  "paths: [/]\nsource: {repository: \"" + forge.URL(s.Project+"-site") + "\"}\n",
		}
	case build.FunctionCode:
		return map[string]string{"functions/ping/go.mod": "module ping\n", "functions/ping/main.go": "package main // " + marked(mark) + "\n"}
	}
	return map[string]string{"index.html": "<p>" + marked(mark) + "\n"}
}

// runPart pushes to a repository that holds a part of a project.
func (p gitPushParams) runPart(ctx context.Context, env node.Env, s secrets, req forge.PushRequest) error {
	commit := patrickapi.NoCommit
	mark := p.Commit
	if mark == "" {
		mark = fmt.Sprintf("%016x", env.Rand.Uint64())
	}
	if !p.Delete {
		files := partFiles(s, mark)
		if p.BuildTime > 0 && s.Holds == build.Configuration {
			files[ports.ManifestPath] = fmt.Sprintf("time: %s\n", p.BuildTime)
		}
		var tree patrickapi.Tree
		for path, data := range files {
			tree.Files = append(tree.Files, patrickapi.File{Path: path, Data: []byte(data)})
		}
		slices.SortFunc(tree.Files, func(a, b patrickapi.File) int { return strings.Compare(a.Path, b.Path) })
		req.Tree = tree.Encode()
		req.Commit = commitOf(req.Tree)
		commit = req.Commit
	}
	source, err := evidence.SourceOf(patrickapi.Origin{Repository: p.Repository, Ref: "refs/heads/" + p.Branch, Commit: commit}.Encode())
	if err != nil {
		return err
	}
	// what the version comes to depends on what the other repositories have then
	env.Observe("git-push-sent", node.F("project", s.Project), node.F("repository", p.Repository), node.F("branch", p.Branch), node.F("commit", commit),
		node.F("source", source), node.F("fail", ""))
	if !p.Delete {
		env.Observe("part-sent", node.F("project", s.Project), node.F("repository", p.Repository), node.F("branch", p.Branch), node.F("mark", mark))
	}
	_, err = users.Insist(ctx, env, p.RetryFor, nil, func(ctx context.Context) error {
		_, err := atForge(ctx, env, forge.Push, req)
		return err
	})
	return err
}
