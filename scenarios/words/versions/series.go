package versions

import "github.com/taucloud/tau/sim/scenario"

// Series are what tns does, by node and moment.
func Series() []scenario.Series {
	return []scenario.Series{
		{Name: "tns.published", Unit: "versions", Service: "tns", Doc: "versions that a tns accepted", New: scenario.CountFacts("tns", "published")},
		{Name: "tns.refused", Unit: "versions", Service: "tns", Doc: "versions that a tns refused", New: scenario.CountFacts("tns", "publish-refused")},
	}
}

// Figures are what the checks measure.
func Figures() []scenario.Figure {
	return []scenario.Figure{
		{Name: "projects.built", Unit: "assets", Doc: "assets of projects that toolchains have made"},
		{Name: "projects.reused", Unit: "assets", Doc: "assets of projects that were taken over from the version that was live, as nothing had changed"},
	}
}
