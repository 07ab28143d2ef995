package hoarder

import (
	"testing"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/storage"
)

func FuzzRequests(f *testing.F) {
	nodetest.FuzzService(f, []string{"testdata/golden/v1.txt", "hoarderapi/testdata/golden/v1.txt"}, func(_ *nodetest.Cloud) []node.Configured {
		return []node.Configured{{Spec: Spec()}}
	})
}

func FuzzEntries(f *testing.F) {
	nodetest.FuzzEntries(f, []string{"testdata/golden/v1.txt", "hoarderapi/testdata/golden/v1.txt"}, []storage.Key{
		storage.K(pinsPart, "r", "a", "1", "x"),
		storage.K(withdrawnPart, "r", "a", "1"),
		storage.K(claimsPart, "r", "x"),
		storage.K(demandPart, "r", "x"),
		storage.K(pinsPart),
	}, "main", func(*nodetest.Cloud) node.Spec { return Spec() })
}
