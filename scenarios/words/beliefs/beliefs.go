// Package beliefs says what services believe of jobs, versions, items and nodes, in
// words for people: a trace has it beside the facts, so that what nodes believed can
// be held against each other.
package beliefs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/seer"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// Of lists what a running service believes right now, nothing for a service that it
// does not know. Of what takes long to find out only what is wanted is listed, see
// [scenario.Vocabulary]. Peers have the names that v knows.
func Of(v check.View, s node.Service, wanted func(about string) bool) (list []scenario.Belief, all bool) {
	whole := wanted == nil
	if whole {
		wanted = func(string) bool { return true }
	}
	switch s := s.(type) {
	case *monkey.Service:
		return ofMonkey(s), true
	case *seer.Service:
		return ofSeer(s), true
	}
	nodes := namesIn(v)
	switch s := s.(type) {
	case *patrick.Service:
		return append(ofPatrick(nodes, s, wanted), heads(s.Replica())...), whole
	case *tns.Service:
		return append(ofTNS(nodes, s, wanted, whole), heads(s.Replica())...), whole
	case *hoarder.Service:
		return append(ofHoarder(nodes, s, wanted), heads(s.Replica())...), whole
	}
	return nil, true
}

func ofMonkey(s *monkey.Service) (list []scenario.Belief) {
	for _, h := range s.Holding() {
		list = append(list, scenario.Belief{About: h.Job, Says: fmt.Sprintf("I hold the lock, attempt %d", h.Token.Attempt)})
	}
	return list
}

func ofPatrick(nodes names, s *patrick.Service, wanted func(string) bool) (list []scenario.Belief) {
	for _, id := range s.JobIDs() {
		if !wanted(id) {
			continue
		}
		j := s.Job(id)
		says := j.Status.String()
		if j.Status == patrickapi.Locked {
			says += " by " + nodes.of(transport.Peer(j.Token.Holder)) + fmt.Sprintf(", attempt %d", j.Token.Attempt)
		} else if j.Attempts > 0 {
			says += fmt.Sprintf(" after %d attempts", j.Attempts)
		}
		if j.Cancelling {
			says += ", to be cancelled"
		}
		if !s.HasTree(id) {
			says += ", its tree is not here"
		}
		list = append(list, scenario.Belief{About: id, Says: says})
	}
	return list
}

// ofTNS has the jobs of all versions when it is whole, else that of the live one.
func ofTNS(nodes names, s *tns.Service, wanted func(string) bool, whole bool) (list []scenario.Belief) {
	branches, err := s.Branches()
	if err != nil {
		return []scenario.Belief{{About: "branches", Says: err.Error()}}
	}
	for _, b := range branches {
		if !wanted(b.Project + "/" + b.Branch) {
			continue
		}
		current, err := s.Current(b.Project, b.Branch)
		live := scenario.Belief{About: b.Project + "/" + b.Branch, Says: "live: " + versionText(nodes, current)}
		if err != nil {
			live.Says = err.Error()
		}
		list = append(list, live)
		history := []tnsapi.Version{current}
		if whole {
			history, err = s.History(b.Project, b.Branch)
		}
		for _, version := range history {
			if err == nil && version.Job != "" {
				list = append(list, scenario.Belief{About: version.Job, Says: "published " + versionText(nodes, version)})
			}
		}
	}
	return once(list)
}

func versionText(nodes names, version tnsapi.Version) string {
	text := fmt.Sprintf("commit %.12s of push %d", version.Commit, version.Order)
	if version.Rollback > 0 {
		text += fmt.Sprintf(", rollback %d", version.Rollback)
	}
	return text + fmt.Sprintf(", by attempt %d of %s", version.Token.Attempt, nodes.of(transport.Peer(version.Token.Holder)))
}

func ofHoarder(nodes names, s *hoarder.Service, wanted func(string) bool) (list []scenario.Belief) {
	for _, it := range s.ItemsOf(wanted) {
		says := fmt.Sprintf("%s, %d of %d copies", it.State, len(it.Claimants), it.Target)
		if len(it.Claimants) > 0 {
			says += ": " + nodes.all(it.Claimants)
		}
		if s.Holds(it.Root) {
			says += "; here"
		}
		list = append(list, scenario.Belief{About: it.Root, Says: says})
	}
	return list
}

func ofSeer(s *seer.Service) (list []scenario.Belief) {
	for _, m := range s.Members() {
		list = append(list, scenario.Belief{About: m.Name, Says: fmt.Sprintf("alive, incarnation %d", m.Incarnation)})
	}
	return once(list)
}

// heads are the newest deltas of a replica.
func heads(r storage.Replicated) []scenario.Belief {
	if r == nil {
		return nil
	}
	var short []string
	for _, h := range r.Heads() {
		short = append(short, h[max(0, len(h)-6):])
	}
	return []scenario.Belief{{About: "replica", Says: fmt.Sprintf("%s, %d entries, heads %s", r.State(), r.Stats().Entries, strings.Join(short, " "))}}
}

// once keeps the first belief about each thing.
func once(list []scenario.Belief) []scenario.Belief {
	slices.SortStableFunc(list, func(a, b scenario.Belief) int { return cmp.Compare(a.About, b.About) })
	return slices.CompactFunc(list, func(a, b scenario.Belief) bool { return a.About == b.About })
}

// names are those of nodes by their peers.
type names map[transport.Peer]string

func namesIn(v check.View) names {
	list := names{}
	for _, n := range v.Nodes() {
		list[n.Peer] = n.Name
	}
	return list
}

func (n names) of(p transport.Peer) string {
	if name := n[p]; name != "" {
		return name
	}
	return p.Short()
}

func (n names) all(peers []transport.Peer) string {
	list := make([]string, len(peers))
	for i, p := range peers {
		list[i] = n.of(p)
	}
	return strings.Join(list, " ")
}
