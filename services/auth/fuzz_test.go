package auth

import (
	"testing"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth/authapi"
)

func FuzzRequests(f *testing.F) {
	nodetest.FuzzService(f, []string{"testdata/golden/v1.txt", "authapi/testdata/golden/v1.txt"}, func(c *nodetest.Cloud) []node.Configured {
		c.Key, c.Issuer, c.Grantable = &deskCloud, authapi.Service, []string{node.MembershipService, "monkey"}
		return []node.Configured{{Spec: Spec(nil)}, {Spec: AgentSpec()}}
	})
}
