package tns

import (
	"testing"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
)

func FuzzRequests(f *testing.F) {
	nodetest.FuzzService(f, []string{"tnsapi/testdata/golden/v1.txt"}, func(_ *nodetest.Cloud) []node.Configured {
		return []node.Configured{{Spec: Spec()}}
	})
}

func FuzzEntries(f *testing.F) {
	nodetest.FuzzEntries(f, []string{"tnsapi/testdata/golden/v1.txt"}, []storage.Key{
		versionKey(tnsapi.Version{Project: "p", Branch: "b", Order: 1}),
		entriesKey(tnsapi.Version{Project: "p", Branch: "b", Order: 1}),
		fenceKey("p", "b", "j", fencing.Token{Attempt: 1}),
		storage.K(chores, "p", "b", "j", "CID"),
		storage.K(versions),
	}, namespace, func(*nodetest.Cloud) node.Spec { return Spec() })
}
