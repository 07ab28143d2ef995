package services

import (
	"fmt"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/services/seer/seerapi"
)

// Rules are what the services of one cloud demand of each other's settings.
func Rules() []node.Rule {
	return []node.Rule{
		// One beacon may be lost and nobody is taken for dead.
		node.NewRule(seer.BeaconName, "interval", seerapi.Service, "gone-after", func(b *seer.BeaconSettings, s *seer.Settings) (what, hint string) {
			return atMost(b.Interval, s.GoneAfter/2, "half of seer's gone-after", s.GoneAfter)
		}),
		// A seer that answers earlier has not heard of all who live.
		node.NewRule(seer.BeaconName, "interval", seerapi.Service, "settle-after", func(b *seer.BeaconSettings, s *seer.Settings) (what, hint string) {
			return atMost(b.Interval, s.SettleAfter, "seer's settle-after", s.SettleAfter)
		}),
		// A coordinator that takes over a grant measures a lease of its own: were it
		// shorter than that of the one who granted, the job would have two holders.
		node.NewRule(patrickapi.Service, "lease", patrickapi.Service, "lease", func(s, other *patrick.Settings) (what, hint string) {
			return equal(s.Lease, other.Lease, "patricks")
		}),
		// A hoarder relies on a copy for as long as its own lease is: others that
		// promise less never confirm, and it never lets go of anything.
		node.NewRule(hoarderapi.Service, "promise-lease", hoarderapi.Service, "promise-lease", func(s, other *hoarder.Settings) (what, hint string) {
			return equal(s.PromiseLease, other.PromiseLease, "hoarders")
		}),
	}
}

// atMost compares a setting with the greatest value that another one allows.
func atMost(is, most time.Duration, of string, whole time.Duration) (what, hint string) {
	if is <= most {
		return "", ""
	}
	return fmt.Sprintf("%s is more than %s, %s", is, of, whole), "allowed with it: at most " + most.String()
}

// equal demands that all instances of a service have the same.
func equal(is, other time.Duration, all string) (what, hint string) {
	if is == other {
		return "", ""
	}
	return fmt.Sprintf("%s here, %s on other nodes", is, other), "all " + all + " of a cloud have the same: set it for the whole scenario"
}
