package seer

import (
	"maps"
	"slices"
	"strings"

	"github.com/taucloud/tau/services/seer/seerapi"
)

// capacitySuffix ends the names of gauges that are capacities.
const capacitySuffix = "-max"

// announce makes an announcement of a node's own data, within the bounds that seers enforce.
func announce(name string, incarnation uint64, services, addresses []string, gauges map[string]int64) seerapi.Announcement {
	a := seerapi.Announcement{
		Name:        clip(name),
		Incarnation: incarnation,
		Capacity:    map[string]int64{},
		Usage:       map[string]int64{},
	}
	for _, s := range services {
		if s != BeaconName && len(a.Services) < seerapi.ServicesLenMax {
			a.Services = append(a.Services, clip(s))
		}
	}
	for _, s := range addresses[:min(len(addresses), seerapi.AddressesMax)] {
		a.Addresses = append(a.Addresses, clip(s))
	}
	for _, name := range slices.Sorted(maps.Keys(gauges)) {
		into := a.Usage
		if strings.HasSuffix(name, capacitySuffix) {
			into = a.Capacity
		}
		if len(into) < seerapi.GaugesMax {
			into[clip(name)] = gauges[name]
		}
	}
	return a
}

func clip(s string) string { return s[:min(len(s), seerapi.NameLenMax)] }

// sound reports whether an announcement from another node is within the bounds.
func sound(a *seerapi.Announcement) bool {
	tooLong := func(s string) bool { return len(s) > seerapi.NameLenMax }
	return !tooLong(a.Name) &&
		len(a.Services) <= seerapi.ServicesLenMax && !slices.ContainsFunc(a.Services, tooLong) &&
		len(a.Addresses) <= seerapi.AddressesMax && !slices.ContainsFunc(a.Addresses, tooLong) &&
		soundGauges(a.Capacity) && soundGauges(a.Usage)
}

func soundGauges(gauges map[string]int64) bool {
	if len(gauges) > seerapi.GaugesMax {
		return false
	}
	for name := range gauges {
		if len(name) > seerapi.NameLenMax {
			return false
		}
	}
	return true
}

// equal reports whether two announcements say the same.
func equal(a, b *seerapi.Announcement) bool {
	return a.Name == b.Name && a.Incarnation == b.Incarnation &&
		slices.Equal(a.Services, b.Services) && slices.Equal(a.Addresses, b.Addresses) &&
		maps.Equal(a.Capacity, b.Capacity) && maps.Equal(a.Usage, b.Usage)
}
