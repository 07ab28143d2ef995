package live

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/monkey"
)

// treeBuilder makes what was pushed the artifact, as it is. It runs nothing of it.
type treeBuilder struct{}

func newBuilder(node.Env) monkey.Builder { return treeBuilder{} }

// Build implements monkey.Builder.
func (treeBuilder) Build(_ context.Context, r monkey.Request) (monkey.Result, error) {
	artifact, entries := r.Tree.Encode(), map[string]string{}
	for _, f := range r.Tree.Files {
		sum := sha256.Sum256(f.Data)
		entries["files/"+f.Path] = hex.EncodeToString(sum[:8])
	}
	r.Log(fmt.Sprintf("%d files of %s at %s, %d bytes", len(r.Tree.Files), r.Job.Repository, r.Job.Commit, len(artifact)))
	return monkey.Result{Artifact: artifact, Entries: entries}, nil
}
