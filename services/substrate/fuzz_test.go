package substrate_test

import (
	"testing"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/services/substrate"
	"github.com/taucloud/tau/services/tns"
)

// FuzzSubstrate sends arbitrary bytes to all that a substrate serves.
func FuzzSubstrate(f *testing.F) {
	nodetest.FuzzService(f, []string{"substrateapi/testdata/golden/v1.txt"}, func(*nodetest.Cloud) []node.Configured {
		return []node.Configured{{Spec: tns.Spec(), Settings: tns.DefaultSettings()}, {Spec: hoarder.Spec(), Settings: hoarder.DefaultSettings()}, {Spec: substrate.Spec(nil), Settings: substrate.DefaultSettings()}}
	})
}
