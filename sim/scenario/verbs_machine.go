package scenario

import (
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/sim/fault"
)

type skewParams struct {
	On *Selector `yaml:"on" doc:"nodes"`
	By Offset    `yaml:"by" doc:"how far, added to what they are off already; may be negative"`
}

func (p *skewParams) check(d *decoder, at *value, r *roster) {
	checkOn(d, p.On, at, r)
	if p.By == 0 {
		d.fail(at, "", "skew: expected by")
	}
}

func skewFaults(params any, o occurrence) []fault.Timed {
	p := params.(*skewParams)
	return o.one(fault.Skew{Nodes: o.nodes(p.On), By: time.Duration(p.By), Stays: o.length == 0})
}

// ppmMax bounds a drift: a clock at half or one and a half times its speed.
const ppmMax = 500_000

type driftParams struct {
	On  *Selector `yaml:"on" doc:"nodes"`
	PPM int64     `yaml:"ppm" doc:"parts per million; negative is slow"`
}

func (p *driftParams) check(d *decoder, at *value, r *roster) {
	checkOn(d, p.On, at, r)
	if p.PPM == 0 || p.PPM > ppmMax || p.PPM < -ppmMax {
		d.fail(at, "", "ppm: expected up to %d fast or slow, found %d", ppmMax, p.PPM)
	}
}

func driftFaults(params any, o occurrence) []fault.Timed {
	p := params.(*driftParams)
	return o.one(fault.Drift{Nodes: o.nodes(p.On), PPM: p.PPM})
}

type diskParams struct {
	On           *Selector   `yaml:"on" doc:"nodes"`
	Slow         fault.Range `yaml:"slow" zero:"no" doc:"how much longer a sync takes"`
	Full         bool        `yaml:"full" doc:"writes fail"`
	Errors       Probability `yaml:"errors" zero:"no" doc:"of a write or a sync to fail: 0.01 or 1%"`
	CorruptReads Probability `yaml:"corrupt-reads" zero:"no" doc:"of a read to return a flipped bit"`
	Corrupt      int         `yaml:"corrupt" range:"1..1000000" doc:"flips a bit in this many stored values, for good"`
	LoseWrites   Probability `yaml:"lose-writes" zero:"no" doc:"of a written record to be acknowledged and lost: it is seen until the node starts anew"`
	Misdirect    Probability `yaml:"misdirect" zero:"no" doc:"of a written record to overwrite another one instead: it is seen when the node starts anew"`
	LoseSyncs    Probability `yaml:"lose-syncs" zero:"no" doc:"of a sync to fail and to lose what it should have written, though the next one succeeds"`
}

func (p *diskParams) check(d *decoder, at *value, r *roster) {
	checkOn(d, p.On, at, r)
	if p.condition() == (fault.Condition{}) && p.Corrupt == 0 {
		d.fail(at, "", "disk: expected slow, full, errors, corrupt-reads, corrupt, lose-writes, misdirect or lose-syncs")
	}
}

func (p *diskParams) condition() fault.Condition {
	return fault.Condition{SyncMin: p.Slow.Min, SyncMax: p.Slow.Max, Full: p.Full,
		ErrorProbability: float64(p.Errors), CorruptProbability: float64(p.CorruptReads),
		LossProbability: float64(p.LoseWrites), MisdirectProbability: float64(p.Misdirect), SyncLossProbability: float64(p.LoseSyncs)}
}

func diskFaults(params any, o occurrence) (out []fault.Timed) {
	p := params.(*diskParams)
	nodes := o.nodes(p.On)
	if c := p.condition(); c != (fault.Condition{}) {
		out = o.one(fault.Disk{Nodes: nodes, Condition: c})
	}
	if p.Corrupt > 0 {
		out = append(out, fault.Timed{Fault: fault.Corrupt{Nodes: nodes, Values: p.Corrupt}})
	}
	return out
}

type failpointParams struct {
	Name         pointName     `yaml:"name" doc:"one that dreamland failpoints lists"`
	On           *Selector     `yaml:"on" doc:"nodes; default: all"`
	Do           pointAction   `yaml:"do" doc:"crash, error, drop, \"delay 3s\", or panic or hang, as a bug would"`
	Times        int           `yaml:"times" range:"1..1000000" doc:"how many hits it applies to; default: all"`
	RestartAfter time.Duration `yaml:"restart-after" zero:"no" doc:"boots a node again that the point has crashed"`
}

type pointName string

func (n *pointName) decode(d *decoder, v *value) {
	text, ok := d.text(v, "name")
	var known []string
	for _, p := range fail.Points() {
		if p.Name() == text {
			*n = pointName(text)
			return
		}
		known = append(known, p.Name())
	}
	if ok {
		d.unknown(v, "failpoint", "", known)
	}
}

type pointAction fail.Action

func (a *pointAction) decode(d *decoder, v *value) {
	text, ok := d.text(v, "do")
	if !ok {
		return
	}
	action, err := fail.ParseAction(text)
	if err != nil {
		d.fail(v, `write crash, error, drop, panic, hang or "delay 3s"`, "do: %s is nothing that a failpoint can do", quote(text))
	}
	*a = pointAction(action)
}

func (p *failpointParams) check(d *decoder, at *value, r *roster) {
	before := d.failures
	if p.On != nil {
		p.On.check(d, r)
	}
	if d.failures == before && !r.unknown() {
		p.checkService(d, at, r)
	}
	if p.Name == "" {
		d.fail(at, "", "failpoint: name is missing")
	}
	switch {
	case p.Do.Do == 0:
		d.fail(at, "", "failpoint: do is missing")
	case p.RestartAfter > 0 && p.Do.Do != fail.Crash:
		d.fail(at.place("restart-after"), "remove it", "restart-after: only a crash takes it")
	}
}

// checkService reports nodes that never come to the failpoint: its service does not run there.
func (p *failpointParams) checkService(d *decoder, at *value, r *roster) {
	service, _, _ := strings.Cut(string(p.Name), "/")
	if !slices.Contains(r.catalogue, service) {
		return // a point of what all nodes have
	}
	all := Selector{at: *at.place("name"), pattern: "*"}
	if p.On != nil {
		all = *p.On
	}
	all.checkRuns(d, r, service, "failpoint: "+string(p.Name))
}

func failpointFaults(params any, o occurrence) []fault.Timed {
	p := params.(*failpointParams)
	f := fault.Failpoint{Point: string(p.Name), Do: fail.Action(p.Do), Times: p.Times, RestartAfter: p.RestartAfter}
	if p.On != nil {
		if f.Nodes = o.nodes(p.On); len(f.Nodes) == 0 {
			return nil // nobody is meant, not everybody
		}
	}
	return o.one(f)
}
