package monkey

import (
	"context"
	"testing"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
)

func FuzzRequests(f *testing.F) {
	nodetest.FuzzService(f, []string{"monkeyapi/testdata/golden/v1.txt"}, func(_ *nodetest.Cloud) []node.Configured {
		return []node.Configured{{Spec: Spec(func(env node.Env) Builder { return builtAtOnce{} }, nil)}}
	})
}

// builtAtOnce builds nothing.
type builtAtOnce struct{}

// Build implements Builder.
func (builtAtOnce) Build(context.Context, Request) (Result, error) { return Result{}, nil }
