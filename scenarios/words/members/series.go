package members

import "github.com/taucloud/tau/sim/scenario"

// Series are what seers notice, by node and moment.
func Series() []scenario.Series {
	return []scenario.Series{
		{Name: "seer.members-up", Unit: "notices", Service: "seer", Doc: "how often a seer noticed that a node is there", New: scenario.CountFacts("seer", "member-up")},
		{Name: "seer.members-gone", Unit: "notices", Service: "seer", Doc: "how often a seer noticed that a node is gone", New: scenario.CountFacts("seer", "member-gone")},
	}
}

// Figures describe what the checks of this package count.
func Figures() []scenario.Figure {
	return []scenario.Figure{{Name: "seer.detection-max-seconds", Unit: "seconds", Doc: "the longest that a seer took to notice that a node had fallen silent"}}
}
