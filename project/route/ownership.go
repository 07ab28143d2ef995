package route

import (
	"cmp"
	"slices"
	"strings"
)

// Claimant is a project with what it claims now. What it does not claim any more it does not own any more: ownership is
// derived from present claims alone.
type Claimant struct {
	Project string
	// Since is when the project began to claim a host, by a number that the records of claims carry and that is the same
	// wherever it is looked at: who came first keeps what it has.
	Since map[string]uint64
	// Verified are hosts of which the project has proved that they are its.
	Verified map[string]bool
	Claims   []Claim
}

// Refusal says why a claim does not count.
type Refusal struct {
	Project string
	Claim   Claim
	// Owner is the project that has it.
	Owner string
	// Host: the owner has the host as a whole, not only the path.
	Host bool
}

// rank is the order of claimants of a host: who has proved that it is theirs, then who came first; a project's name
// decides between two that came at once. It is total, so that all who know the same claims decide alike.
func rank(host string) func(a, b Claimant) int {
	return func(a, b Claimant) int {
		return cmp.Or(
			-boolCompare(a.Verified[host], b.Verified[host]),
			cmp.Compare(a.Since[host], b.Since[host]),
			strings.Compare(a.Project, b.Project))
	}
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Decide says which claims count, by project, and which do not, of claimants each of which is there once. No two projects own one host and path (a key, whatever
// the methods). A host that somebody has proved to own is shared by those alone who have, each path going to who came
// first; a host of which nobody has is the first comer's as a whole, so that nobody can put a path of their own into
// another's site.
func Decide(claimants []Claimant) (owned map[string][]Claim, refused []Refusal) {
	owned = map[string][]Claim{}
	byHost := map[string][]Claimant{}
	for _, c := range claimants {
		for _, host := range hostsOf(c.Claims) {
			byHost[host] = append(byHost[host], c)
		}
	}
	for host, list := range byHost {
		slices.SortFunc(list, rank(host))
		first, owners := list[0], map[string]string{}
		for _, c := range list {
			shares := c.Project == first.Project || first.Verified[host] && c.Verified[host]
			for _, claim := range c.Claims {
				owner, taken := owners[claim.Key]
				switch {
				case claim.Host != host:
				case !shares:
					refused = append(refused, Refusal{c.Project, claim, first.Project, true})
				case taken && owner != c.Project:
					refused = append(refused, Refusal{c.Project, claim, owner, false})
				default:
					owners[claim.Key] = c.Project
					owned[c.Project] = append(owned[c.Project], claim)
				}
			}
		}
	}
	for _, claims := range owned {
		slices.SortFunc(claims, Claim.Compare)
	}
	slices.SortFunc(refused, func(a, b Refusal) int {
		return cmp.Or(strings.Compare(a.Project, b.Project), a.Claim.Compare(b.Claim))
	})
	return owned, refused
}

func hostsOf(claims []Claim) []string {
	var hosts []string
	for _, c := range claims {
		hosts = append(hosts, c.Host)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
