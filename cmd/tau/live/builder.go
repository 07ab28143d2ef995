package live

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/monkey"
)

// treeBuilder makes what was pushed the artifact, as it is. It runs nothing of it: steps of projects that need a
// program are refused.
type treeBuilder struct{}

func newBuilder(node.Env) monkey.Builder { return treeBuilder{} }

// Build implements monkey.Builder.
func (treeBuilder) Build(_ context.Context, r monkey.Request) (monkey.Result, error) {
	if r.Step != nil {
		return monkey.Result{}, monkey.UserError(fmt.Sprintf("%s: this node has no toolchain for %s: build it before the push, and keep the module as %s/main.wasm", r.Step.Targets[0], r.Step.Toolchain, r.Step.Folder))
	}
	artifact, entries := r.Tree.Encode(), map[string]string{}
	for _, f := range r.Tree.Files {
		sum := sha256.Sum256(f.Data)
		entries["files/"+f.Path] = hex.EncodeToString(sum[:8])
	}
	r.Log(fmt.Sprintf("%d files of %s at %s, %d bytes", len(r.Tree.Files), r.Job.Repository, r.Job.Commit, len(artifact)))
	return monkey.Result{Artifact: artifact, Entries: entries}, nil
}
