package check

import (
	"fmt"
	"slices"
)

// Missing says which node should run a service right now and does not; nil if
// there is none. A liveness check asks it first: after healing, a service that
// nobody runs must not pass for one of which nothing can be demanded.
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
