package members

import (
	"fmt"

	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/addressbook"
)

// neverMix demands that nobody takes the node of another cloud for a member of its own.
type neverMix struct{ check.Tally }

func (*neverMix) Name() string { return "clouds-never-mix" }

// Poll implements check.OnPoll.
func (c *neverMix) Poll(v check.View) error {
	here, ok := v.(interface{ Belongs(transport.Peer) bool })
	if !ok {
		return nil
	}
	foreign := func(who string, list []addressbook.Announcement) error {
		for _, a := range list {
			c.Evaluated()
			if !here.Belongs(a.Peer) {
				return fmt.Errorf("%s takes %s for a member of its cloud, which is none", who, a.Name)
			}
		}
		return nil
	}
	for _, n := range v.Nodes() {
		if s, ok := n.Service(seerapi.Service).(register); ok {
			if err := foreign(n.Name+"'s seer", s.Present()); err != nil {
				return err
			}
		}
		if d, ok := n.Service(seer.DiscoveryName).(directory); ok {
			if err := foreign(n.Name, d.Book()); err != nil {
				return err
			}
		}
	}
	return nil
}
