package scenario

import "github.com/taucloud/tau/sim/fault"

type duplicateParams struct {
	linkParams `yaml:",inline"`
	Chance     Probability `yaml:"chance" zero:"no" doc:"of a message to come twice; default 50%"`
	Later      fault.Range `yaml:"later" doc:"how long after the first; default 0s..5s"`
}

func duplicateFaults(params any, o occurrence) []fault.Timed {
	p := params.(*duplicateParams)
	return o.one(fault.Duplicate{Pairs: p.pairs(o.roster, o.draw), Again: fault.Again{
		Chance: float64(p.Chance), Min: p.Later.Min, Max: p.Later.Max}})
}

// The values of what lies are about.
const (
	aboutBlocks = "blocks"
	aboutAll    = "everything"
)

type lieParams struct {
	On     *Selector   `yaml:"on" doc:"the nodes that lie, to everybody, users included"`
	About  string      `yaml:"about" values:"blocks everything" doc:"blocks, which whoever gets them can verify, or everything that is asked; default blocks"`
	Chance Probability `yaml:"chance" zero:"no" doc:"of an answer to be wrong; default 100%"`
}

func (p *lieParams) check(d *decoder, at *value, r *roster) {
	checkOn(d, p.On, at, r)
}

func lieFaults(params any, o occurrence) []fault.Timed {
	p := params.(*lieParams)
	return o.one(fault.Lie{Nodes: o.nodes(p.On), Lies: fault.Lies{Chance: float64(p.Chance), All: p.About == aboutAll}})
}
