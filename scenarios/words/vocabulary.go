// Package words is the vocabulary of scenarios about the cloud: what users do
// (actions) and what is demanded (checks). The words about one kind of thing -
// jobs, versions, items, members, replicas - are a package each.
package words

import (
	"slices"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/forge"
	"github.com/taucloud/tau/scenarios/ports"
	"github.com/taucloud/tau/scenarios/words/attack"
	"github.com/taucloud/tau/scenarios/words/audit"
	"github.com/taucloud/tau/scenarios/words/beliefs"
	"github.com/taucloud/tau/scenarios/words/forges"
	"github.com/taucloud/tau/scenarios/words/items"
	"github.com/taucloud/tau/scenarios/words/jobs"
	"github.com/taucloud/tau/scenarios/words/members"
	"github.com/taucloud/tau/scenarios/words/replicas"
	"github.com/taucloud/tau/scenarios/words/trust"
	"github.com/taucloud/tau/scenarios/words/versions"
	"github.com/taucloud/tau/scenarios/words/web"
	"github.com/taucloud/tau/services"
	"github.com/taucloud/tau/services/auth"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/seer/seerapi"
	"github.com/taucloud/tau/sim/scenario"
)

// Vocabulary is all that a scenario may speak of.
func Vocabulary() scenario.Vocabulary {
	return scenario.Vocabulary{
		// Users of some stories publish as builders do, by hand, under tokens that they make up as only
		// who grants locks may; auditors ask hoarders what they ask each other; those who run the cloud
		// revoke and invite.
		ClientOffers: []string{authapi.Service, hoarderapi.Service, monkeyapi.Service, patrickapi.Service},
		ClientRuns:   []node.Spec{auth.AgentSpec()},
		Issuer:       authapi.Service,
		Command:      "dreamland",
		Package:      "github.com/taucloud/tau/scenarios/words",
		Services:     append(services.Catalogue(simulated()), forge.Spec(), forge.ReachSpec()),
		Always:       services.Always(),
		Finder:       seerapi.Service,
		Rules:        services.Rules(),
		Actions:      slices.Concat(jobs.Actions(), versions.Actions(), items.Actions(), web.Actions(), trust.Actions(), attack.Actions(), forges.Actions()),
		Constant:     slices.Concat(attack.Constant(), trust.Constant(), forges.Constant()),
		Qualities:    slices.Concat(jobs.Qualities(), items.Qualities()),
		Places:       slices.Concat(jobs.Places(), items.Places()),
		Auditors:     audit.Auditors(),
		Series:       slices.Concat(jobs.Series(), versions.Series(), items.Series(), members.Series()),
		Figures:      slices.Concat(jobs.Figures(), versions.Figures(), items.Figures(), members.Figures(), replicas.Figures(), attack.Figures(), trust.Figures(), web.Figures()),
		Measures:     replicas.Measures(),
		Beliefs:      beliefs.Of,
		Remotes:      remotes(),
		Checks: observed(inOneLine(slices.Concat(
			about(members.Checks(), "seer"), about(replicas.Checks(), replicas.Services...), about(versions.Checks(), "tns"),
			about(jobs.PatrickChecks(), "patrick"), about(jobs.MonkeyChecks(), "monkey"), about(items.Checks(), "hoarder"),
			about(web.Checks(), "substrate"), attack.Checks(), trust.Checks(), forges.Checks(),
		))),
	}
}

// simulated are the ports of simulated clouds, with the ways to the simulated forge.
func simulated() services.Ports {
	p := ports.Simulated()
	p.Forge, p.Fetcher = forge.NewForge, forge.NewFetcher
	return p
}

// about says which services checks are about that do not say it themselves.
func about(list []scenario.Check, services ...string) []scenario.Check {
	for i := range list {
		if list[i].Of == nil {
			list[i].Of = services
		}
	}
	return list
}
