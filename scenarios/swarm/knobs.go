package swarm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// knob is a setting and what it may be set to, besides its default: values at which
// every promise holds, and code goes ways that it seldom goes otherwise.
type knob struct {
	service, key string
	values       []string
}

// knobs are turned one in four, as FoundationDB does with its own.
var knobs = []knob{
	{"hoarder", "transfers-max", []string{"1", "2", "16"}},
	{"hoarder", "surplus-grace", []string{"0s", "2s", "20s"}},
	{"hoarder", "repair-grace", []string{"0s", "2s", "20s"}},
	{"hoarder", "sweep-interval", []string{"5s", "30s"}},
	{"monkey", "race-window", []string{"0s", "20ms", "1s"}},
	{"monkey", "poll-interval", []string{"1s", "10s"}},
	{"patrick", "announce-interval", []string{"500ms", "5s"}},
	{"patrick", "attempts-max", []string{"1", "2", "6"}},
	{"patrick", "keep-finished", []string{"20", "50"}},
	{"seer", "exchange-interval", []string{"200ms", "1s"}},
	{"tns", "replicate-timeout", []string{"500ms", "5s"}},
	{"tns", "keep-versions", []string{"4", "16"}},
}

// turned are the settings of one service that story n turns: ", key: value" each.
func turned(n uint64, service string) string {
	var b strings.Builder
	for i, k := range knobs {
		draw := rand.New(rand.NewPCG(n, uint64(100+i)))
		if k.service == service && draw.IntN(4) == 0 {
			fmt.Fprintf(&b, ", %s: %s", k.key, k.values[draw.IntN(len(k.values))])
		}
	}
	return b.String()
}

// weighted draws up to n of the kinds without repetition, each as likely as it weighs
// compared with the others (Efraimidis and Spirakis, 2006).
func (s *story) weighted(kinds []string, n int, weight func(string) float64) []string {
	type ticket struct {
		kind string
		key  float64
	}
	var tickets []ticket
	for _, kind := range kinds {
		u := s.Float64()
		if w := weight(kind); w > 0 {
			tickets = append(tickets, ticket{kind, -math.Log(1-u) / w})
		}
	}
	slices.SortFunc(tickets, func(a, b ticket) int {
		if a.key < b.key {
			return -1
		}
		return 1
	})
	var chosen []string
	for _, t := range tickets[:min(n, len(tickets))] {
		chosen = append(chosen, t.kind)
	}
	return chosen
}
