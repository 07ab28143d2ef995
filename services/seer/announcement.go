package seer

import (
	"maps"
	"slices"
	"strings"
)

// capacitySuffix ends the names of gauges that are capacities.
const capacitySuffix = "-max"

// announce makes an announcement of a node's own data, within the bounds that seers enforce.
func announce(name string, incarnation uint64, services, addresses []string, gauges map[string]int64) announcement {
	a := announcement{
		Name:        clip(name),
		Incarnation: incarnation,
		Capacity:    map[string]int64{},
		Usage:       map[string]int64{},
	}
	for _, s := range services {
		if len(a.Services) < servicesLenMax {
			a.Services = append(a.Services, clip(s))
		}
	}
	for _, s := range addresses[:min(len(addresses), addressesMax)] {
		a.Addresses = append(a.Addresses, clip(s))
	}
	for _, name := range slices.Sorted(maps.Keys(gauges)) {
		into := a.Usage
		if strings.HasSuffix(name, capacitySuffix) {
			into = a.Capacity
		}
		if len(into) < gaugesMax {
			into[clip(name)] = gauges[name]
		}
	}
	return a
}

func clip(s string) string { return s[:min(len(s), nameLenMax)] }

// sound reports whether an announcement from another node is within the bounds.
func sound(a *announcement) bool {
	tooLong := func(s string) bool { return len(s) > nameLenMax }
	return !tooLong(a.Name) &&
		len(a.Services) <= servicesLenMax && !slices.ContainsFunc(a.Services, tooLong) &&
		len(a.Addresses) <= addressesMax && !slices.ContainsFunc(a.Addresses, tooLong) &&
		soundGauges(a.Capacity) && soundGauges(a.Usage)
}

func soundGauges(gauges map[string]int64) bool {
	if len(gauges) > gaugesMax {
		return false
	}
	for name := range gauges {
		if len(name) > nameLenMax {
			return false
		}
	}
	return true
}

// equal reports whether two announcements say the same.
func equal(a, b *announcement) bool {
	return a.Name == b.Name && a.Incarnation == b.Incarnation &&
		slices.Equal(a.Services, b.Services) && slices.Equal(a.Addresses, b.Addresses) &&
		maps.Equal(a.Capacity, b.Capacity) && maps.Equal(a.Usage, b.Usage)
}
