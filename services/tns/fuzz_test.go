package tns

import (
	"testing"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
)

func FuzzRequests(f *testing.F) {
	nodetest.FuzzService(f, []string{"tnsapi/testdata/golden/v1.txt"}, func(_ *nodetest.Cloud) []node.Configured {
		return []node.Configured{{Spec: Spec()}}
	})
}
