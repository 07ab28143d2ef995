package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/scenarios/ports"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage/blocks"
)

// ofProject is the oracle for a tree with a project in it.
func (b *Built) ofProject(name, branch string, tree patrickapi.Tree) (is bool, err error) {
	if _, is = tree.File(project.MonoFile); !is {
		return false, nil
	}
	files := make([]build.File, 0, len(tree.Files))
	for _, f := range tree.Files {
		files = append(files, build.File{Path: f.Path, Data: f.Data})
	}
	fsys, err := build.FS(files)
	if err != nil {
		return true, err
	}
	entries, bundle, err := assembled(name, branch, tree, fsys)
	if err != nil { // the fault of who has pushed
		b.Fail = "permanent"
		return true, nil
	}
	hashes := map[string]string{}
	for target, value := range bundle.Entries() {
		entries = append(entries, tnsapi.Entry{Path: target, Value: []byte(value)})
		if a, err := build.DecodeAsset([]byte(value)); err == nil {
			hashes[target[len(build.AssetsPrefix):]] = a.Hash
		}
	}
	artifact, err := blocks.RootOf(bundle.Content())
	b.Artifact, b.Entries, b.Assets = artifact.String(), PublishedDigest(entries), AssetsDigest(hashes)
	return true, err
}

// production is the branch that is served at a project's own hosts.
const production = "main"

// assembled are the configuration and the assets of a commit.
func assembled(name, branch string, tree patrickapi.Tree, fsys fs.FS) (entries []tnsapi.Entry, bundle *build.Bundle, err error) {
	loaded, err := project.Load(fsys)
	if err != nil {
		return nil, nil, err
	}
	options := project.Options{Project: name}
	if branch != production {
		options.Preview = branch
	}
	compiled, err := project.Compile(loaded.Project, options)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range compiled.Entries {
		entries = append(entries, tnsapi.Entry{Path: e.Path, Value: e.Value})
	}
	steps, err := build.Plan(loaded.Project, fsys, nil)
	if err != nil {
		return nil, nil, err
	}
	bundle = build.NewBundle()
	for _, s := range steps {
		version := ""
		asset, ready, err := build.Make(s, fsys)
		if !ready {
			asset, version = ports.ModuleOf(s, tree), ports.ToolchainVersion
		}
		if err == nil {
			err = bundle.Add(s, version, asset)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return entries, bundle, nil
}

// AssetsDigest tells sets of assets apart, by target and hash.
func AssetsDigest(hashes map[string]string) string {
	h := sha256.New()
	for _, target := range slices.Sorted(maps.Keys(hashes)) {
		fmt.Fprintf(h, "%q=%q\n", target, hashes[target])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// PublishedDigest is [EntriesDigest] without what says who has built: it is another one with each attempt.
func PublishedDigest(list []tnsapi.Entry) string {
	return EntriesDigest(slices.DeleteFunc(slices.Clone(list), func(e tnsapi.Entry) bool { return e.Path == build.ProvenancePath }))
}
