// Package ports are the simulated ends of what services reach in the world
// outside of the cloud: what builds, and whatever else services.Ports lists.
package ports

import "github.com/taucloud/tau/services"

// Simulated are the ports of simulated clouds.
func Simulated() services.Ports {
	return services.Ports{Builder: NewBuilder, Vault: NewVault, Guests: NewGuests}
}
