package patrick

import (
	"testing"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
)

func FuzzRequests(f *testing.F) {
	nodetest.FuzzService(f, []string{"testdata/golden/v1.txt", "patrickapi/testdata/golden/v1.txt"}, func(_ *nodetest.Cloud) []node.Configured {
		return []node.Configured{{Spec: Spec(Ends{})}}
	})
}
