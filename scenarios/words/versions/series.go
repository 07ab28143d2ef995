package versions

import "github.com/taucloud/tau/sim/scenario"

// Series are what tns does, by node and moment.
func Series() []scenario.Series {
	return []scenario.Series{
		{Name: "tns.published", Unit: "versions", Service: "tns", Doc: "versions that a tns accepted", New: scenario.CountFacts("tns", "published")},
		{Name: "tns.refused", Unit: "versions", Service: "tns", Doc: "versions that a tns refused", New: scenario.CountFacts("tns", "publish-refused")},
	}
}
