package scenario

import (
	"slices"

	"github.com/taucloud/tau/sim/fault"
)

// The selectors by who can talk to whom at the moment: {unreachable: NODES, from: NODES}.
const (
	reachable   = "reachable"
	unreachable = "unreachable"
)

var reachWords = []string{reachable, unreachable}

// decodeReach reads from beside reachable or unreachable: by default the client.
func (s *Selector) decodeReach(d *decoder, whole *value) {
	s.state.count = 0
	s.state.from = &Selector{pattern: Client}
	if from := whole.get("from"); from != nil {
		s.state.from.decode(d, from)
		if s.state.from.draws() {
			d.fail(from, "write a name, a group, a zone or {running: patrick}", "from: expected nodes that are known before the run")
		}
	}
}

// reach are those of the nodes that some of from, other than itself, can talk to, or that none can;
// if a number is given, so many by lot.
func (st *byState) reach(r *roster, draw fault.Draw) []string {
	from := st.from.nodes(r, draw.Fork("from"))
	found := slices.DeleteFunc(slices.Clone(st.of.nodes(r, draw.Fork("of"))), func(name string) bool {
		reached := slices.ContainsFunc(from, func(other string) bool { return other != name && r.state.Connected(other, name) })
		return reached != (st.word == reachable)
	})
	if st.count == 0 {
		return found
	}
	return draw.Fork("pick").Some(found, st.count)
}

func reachWordDocs() []Word {
	return []Word{
		{Kind: "select", Name: reachable, Doc: "those of these nodes that some node of from, by default the client, can talk to at this moment, both ways; count: so many of them, by lot",
			Example: "push: {project: hello, to: {reachable: core-*}}"},
		{Kind: "select", Name: unreachable, Doc: "those of these nodes that are down, paused, or cut off from all of from - of itself apart - at this moment; from is by default the client",
			Example: "push: {project: hello, to: {unreachable: core-*, from: core-*}}"},
	}
}
