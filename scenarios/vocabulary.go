// Package scenarios holds the stories about the cloud - one .yaml file each -
// and the words that they are told in: what users of the cloud do (actions) and
// what is demanded of it (checks), one file per service.
package scenarios

import (
	"slices"

	"github.com/taucloud/tau/services"
	"github.com/taucloud/tau/sim/scenario"
)

// Ports are the simulated ones.
func Ports() services.Ports { return services.Ports{Builder: newSimulatedBuilder} }

// Vocabulary is all that a scenario may speak of.
func Vocabulary() scenario.Vocabulary {
	return scenario.Vocabulary{
		Services: services.Catalogue(Ports()),
		Always:   services.Always(),
		Actions: []scenario.Action{
			pushAction(), cancelAction(), rebuildAction(), logsAction(),
			publishAction(), rollbackAction(),
			storeAction(), demandAction(), retrieveAction(), unmarkAction(),
		},
		Auditors: auditors(),
		Measures: measures(),
		Checks: slices.Concat(
			about(seerChecks(), "seer"), about(storeChecks(), replicatedServices...), about(tnsChecks(), "tns"),
			about(patrickChecks(), "patrick"), about(monkeyChecks(), "monkey"), about(hoarderChecks(), "hoarder"),
		),
	}
}

// about says which services the figures of checks are about.
func about(list []scenario.Check, services ...string) []scenario.Check {
	for i := range list {
		list[i].Of = services
	}
	return list
}
