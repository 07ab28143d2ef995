package check

import (
	"fmt"
	"slices"
)

// Missing is an error that names a node that should run a service right now and does not; nil if
// there is none. Liveness checks call it first: after healing, a check must not hold because no
// node runs the service.
func Missing(v View, service string) error {
	for _, n := range v.Nodes() {
		if n.ShouldBeUp && slices.Contains(n.Services, service) && (!n.Up || n.Service(service) == nil) {
			return fmt.Errorf("%s should run %s and does not, since %s", n.Name, service, n.Since)
		}
	}
	return nil
}

// Expected lists the nodes that should run a service right now, in the order of
// the scenario, whether they do or not.
func Expected(v View, service string) (list []NodeView) {
	for _, n := range v.Nodes() {
		if n.ShouldBeUp && slices.Contains(n.Services, service) {
			list = append(list, n)
		}
	}
	return list
}
