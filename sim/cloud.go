package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// cloud is what the nodes of a world belong to: a name, and the key that has signed their
// certificates before the world began.
type cloud struct {
	name   string
	key    transport.Identity
	serial uint64
}

// newCloud makes the cloud of a name, always the same from the same seed.
func newCloud(name string, seed uint64) *cloud {
	return &cloud{name: name, key: transport.NewIdentity(fmt.Appendf(nil, "sim/%d/cloud/%s", seed, name))}
}

// Certificates count from a month before the epoch, for nodes whose clocks are that slow, to
// most of a year after it.
const (
	certifiedBefore = 30 * 24 * time.Hour
	certifiedAfter  = 300 * 24 * time.Hour
)

// certify gives a node the certificate of what it may do, and grant to others.
func (c *cloud) certify(n *Node, issues []string) *membership.Presented {
	c.serial++
	signed, err := membership.Issue(c.key, membership.Certificate{
		Cloud: c.name, Serial: c.serial, Subject: n.identity.Peer(), Name: n.name,
		Services: n.standing.Grants.Services, Issues: slices.Compact(slices.Sorted(slices.Values(issues))),
		NotBefore: epoch.Add(-certifiedBefore).Unix(), NotAfter: epoch.Add(certifiedAfter).Unix(),
	})
	if err != nil {
		panic(fmt.Sprintf("sim: certify %s: %v", n.name, err)) // a name or a list that is too long
	}
	return &membership.Presented{Certificate: signed}
}
