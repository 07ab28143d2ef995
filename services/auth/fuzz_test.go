package auth

import (
	"testing"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

func FuzzRequests(f *testing.F) {
	nodetest.FuzzService(f, []string{"testdata/golden/v1.txt", "authapi/testdata/golden/v1.txt"}, func(c *nodetest.Cloud) []node.Configured {
		c.Key, c.Issuer, c.Grantable = &deskCloud, authapi.Service, []string{node.MembershipService, "monkey"}
		return []node.Configured{{Spec: Spec(Ends{})}, {Spec: AgentSpec()}}
	})
}

func FuzzEntries(f *testing.F) {
	nodetest.FuzzEntries(f, []string{"testdata/golden/v1.txt", "authapi/testdata/golden/v1.txt"}, []storage.Key{
		storage.K(revokedPart, "s", "b"),
		storage.K(rotationPart, "b"),
		issuerKey(transport.Peer{1}),
		tokenKey("t"),
		tokenRevokedKey("t"),
		projectKey("p"),
		repositoryKey("r"),
		hookKey("h"),
		domainKey("h"),
		certificateKey("h", 1, transport.Peer{1}),
		storage.K(secretPart, "o", "k", "n-", "1", "b"),
		storage.K(secretPart, "o"),
		storage.K(secretEndPart, "o", "k", "n-", "1", "b", "2"),
		storage.K(auditPart, "1", "b", "1"),
	}, namespace, func(c *nodetest.Cloud) node.Spec {
		c.Key, c.Issuer, c.Grantable = &deskCloud, authapi.Service, []string{node.MembershipService, "monkey"}
		return Spec(Ends{})
	})
}
