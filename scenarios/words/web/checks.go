package web

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/substrate"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

const (
	// staleFor is how long after a version was acknowledged an older one may be served while all are well.
	staleFor = 5 * time.Second
	// steadyFor is how long a gateway and a substrate have to be well before a request must be answered by them.
	steadyFor = 15 * time.Second
)

// Substrate is what checks see of a substrate that runs.
type Substrate interface {
	Served(project, branch string) (tnsapi.Version, bool)
}

// TNS is what they see of a tns.
type TNS interface {
	Branches() ([]tnsapi.BranchRequest, error)
	Current(project, branch string) (tnsapi.Version, error)
}

var (
	_ Substrate = (*substrate.Service)(nil)
	_ TNS       = (*tns.Service)(nil)
)

// Checks are what is expected of websites.
func Checks() []scenario.Check {
	return append(append(functionChecks(), streamChecks()...), []scenario.Check{
		{Name: "answers-are-one-version", Doc: "each page that a browser gets is, byte for byte, that of the published version which the answer names; one that was current, or was while all were well at most 5 s before; 404 only for what is not there",
			New: func() check.Checker { return newOneVersion() }},
		{Name: "requests-are-answered", Doc: "each request is answered, and by no error of a server, while some gateway and some substrate have been well and connected for 15 s",
			New: func() check.Checker { return &allAnswered{since: map[[2]string]time.Duration{}} }},
		{Name: "substrates-follow", Doc: "after healing every substrate serves the current version of each project",
			New: func() check.Checker { return &follow{} }},
	}...)
}

// deployment is a version of a website, as users know of it.
type deployment struct {
	commit      string
	pages       int
	size        int64
	sent, acked time.Duration // acked: math.MaxInt64 while it is not
}

// oneVersion compares answers with what was deployed.
type oneVersion struct {
	check.Tally
	calm  evidence.Calm
	sites map[string][]*deployment // in the order in which they were sent
}

func newOneVersion() *oneVersion {
	return &oneVersion{calm: evidence.NewCalm(tnsapi.Service, hoarderapi.Service, substrateapi.Service, gatewayapi.Service), sites: map[string][]*deployment{}}
}

func (*oneVersion) Name() string { return "answers-are-one-version" }

// Poll implements check.OnPoll.
func (c *oneVersion) Poll(v check.View) error {
	c.calm.Look(v)
	return nil
}

// Fact implements check.OnFact.
func (c *oneVersion) Fact(f check.Fact) error {
	c.calm.Learn(f)
	site := f.Text("project")
	switch f.Name {
	case "deploy-sent":
		if c.find(site, f.Text("commit")) == nil {
			c.sites[site] = append(c.sites[site], &deployment{f.Text("commit"), int(f.Int("pages")), f.Int("size"), f.At, math.MaxInt64})
		}
	case "publish-acknowledged":
		if d := c.find(site, f.Text("commit")); d != nil {
			d.acked = min(d.acked, f.At)
		}
	case "http-answered":
		return c.answered(f, site)
	}
	return nil
}

func (c *oneVersion) find(site, commit string) *deployment {
	for _, d := range c.sites[site] {
		if d.commit == commit {
			return d
		}
	}
	return nil
}

func (c *oneVersion) answered(f check.Fact, site string) error {
	path, began := strings.TrimPrefix(f.Text("path"), "/"), f.At-time.Duration(f.Int("last"))
	if path == "" {
		path = pageName(0)
	}
	switch status := f.Int("status"); {
	case status >= 500:
		return nil // is another check's
	case status == 404:
		return c.missing(f, site, path, began)
	case status != 200:
		return fmt.Errorf("a request for %s of %s was answered with status %d", path, site, status)
	}
	d := c.find(site, f.Text("version"))
	c.Evaluated()
	if d == nil || d.sent > f.At {
		return fmt.Errorf("%s of %s was answered by version %q, which nobody has published", path, site, f.Text("version"))
	}
	if said := f.Text("said"); said != "" {
		if said != d.commit {
			return fmt.Errorf("%s of %s was answered by the function of version %q, and the answer says that it is of %s", path, site, d.commit, said)
		}
		return c.current(site, path, d, began)
	}
	if want := digest(page(site, d.commit, path, d.size)); !d.has(path) || want != f.Text("digest") {
		return fmt.Errorf("%s of %s was answered by something else than version %s has there", path, site, d.commit)
	}
	return c.current(site, path, d, began)
}

func (d *deployment) has(path string) bool {
	for i := range d.pages {
		if pageName(i) == path {
			return true
		}
	}
	return false
}

// current demands that no newer version was known for too long when a request began.
func (c *oneVersion) current(site, path string, d *deployment, began time.Duration) error {
	list := c.sites[site]
	for _, newer := range list[slices.Index(list, d)+1:] {
		if newer.acked >= began-staleFor {
			continue
		}
		if !c.calm.Lasts(newer.acked) {
			c.Excused("not all were well since the newer version")
			continue
		}
		return fmt.Errorf("%s of %s was answered by version %s %v after version %s was acknowledged", path, site, d.commit, began-newer.acked, newer.commit)
	}
	return nil
}

// missing demands that a page which is not found is in no version that may be current.
func (c *oneVersion) missing(f check.Fact, site, path string, began time.Duration) error {
	list := c.sites[site]
	for i, d := range list {
		last := i == len(list)-1 || list[i+1].sent > f.At
		if d.acked < began-4*staleFor && last && d.has(path) {
			return fmt.Errorf("%s of %s was not found, and version %s has had it for %v", path, site, d.commit, began-d.acked)
		}
	}
	c.Evaluated()
	return nil
}

// allAnswered knows for how long gateways and substrates have been well together. The first of a pair is asked by the
// second.
type allAnswered struct {
	check.Tally
	since              map[[2]string]time.Duration
	requests, answered int
	failed, again      int
	bytes              int64
	first, last        time.Duration
	took               []time.Duration
}

func (*allAnswered) Name() string { return "requests-are-answered" }

// tookMax bounds the latencies that are kept: of more, every second one goes.
const tookMax = 1 << 16

// Poll implements check.OnPoll.
func (c *allAnswered) Poll(v check.View) error {
	gates, subs := running(v, gatewayapi.Service), running(v, substrateapi.Service)
	now := map[[2]string]bool{}
	for _, g := range gates {
		if v.Connected("client", g.Name) {
			now[[2]string{g.Name, "client"}] = true
		}
		for _, s := range subs {
			if g.Name == s.Name || v.Connected(g.Name, s.Name) {
				now[[2]string{s.Name, g.Name}] = true
			}
		}
	}
	for pair := range c.since {
		if !now[pair] {
			delete(c.since, pair)
		}
	}
	for pair := range now {
		if _, known := c.since[pair]; !known {
			c.since[pair] = v.Now()
		}
	}
	return nil
}

func running(v check.View, service string) (list []check.NodeView) {
	for _, n := range v.Nodes() {
		if n.Up && !n.Paused && !n.DiskBad && slices.Contains(n.Services, service) {
			list = append(list, n)
		}
	}
	return list
}

// Fact implements check.OnFact.
func (c *allAnswered) Fact(f check.Fact) error {
	switch {
	case f.Service == "node": // what went down between two polls has not been well
		for pair := range c.since {
			if pair[0] == f.Node || pair[1] == f.Node {
				delete(c.since, pair)
			}
		}
		return nil
	case f.Name != "http-answered" && f.Name != "http-failed":
		return nil
	}
	if c.requests++; c.requests == 1 {
		c.first = f.At
	}
	c.last = f.At
	if f.Int("tries") > 1 {
		c.again++
	}
	if f.Name == "http-answered" && f.Int("status") < 500 {
		c.Evaluated()
		c.answered++
		c.bytes += f.Int("bytes")
		if c.took = append(c.took, time.Duration(f.Int("took"))); len(c.took) > tookMax {
			for i := range tookMax / 2 {
				c.took[i] = c.took[2*i]
			}
			c.took = c.took[:tookMax/2]
		}
		return nil
	}
	c.failed++
	if !c.possible(f.At - time.Duration(f.Int("took"))) {
		c.Excused("no gateway with a substrate was well for long enough")
		return nil
	}
	c.Evaluated()
	why := f.Text("why")
	if f.Name == "http-answered" {
		why = fmt.Sprintf("status %d %s", f.Int("status"), strings.TrimSpace(f.Text("says")))
	}
	return fmt.Errorf("a request for %s of %s was not answered after %d tries: %s", f.Text("path"), f.Text("project"), f.Int("tries"), why)
}

// possible reports whether some gateway and some substrate have been well since long before a moment.
func (c *allAnswered) possible(began time.Duration) bool {
	for pair, at := range c.since {
		if pair[1] == "client" {
			continue
		}
		gate, known := c.since[[2]string{pair[1], "client"}]
		if known && max(at, gate)+steadyFor <= began {
			return true
		}
	}
	return false
}

// Figures implements check.Figures.
func (c *allAnswered) Figures() map[string]float64 {
	out := map[string]float64{
		"web.requests": float64(c.requests), "web.answered": float64(c.answered), "web.failed": float64(c.failed), "web.repeated": float64(c.again),
		"web.goodput": math.NaN(), "web.latency.median": math.NaN(), "web.latency.p99": math.NaN(), "web.latency.max": math.NaN(),
	}
	if len(c.took) > 0 {
		sorted := slices.Sorted(slices.Values(c.took))
		out["web.latency.median"] = sorted[len(sorted)/2].Seconds()
		out["web.latency.p99"] = sorted[len(sorted)*99/100].Seconds()
		out["web.latency.max"] = sorted[len(sorted)-1].Seconds()
	}
	if c.last > c.first {
		out["web.goodput"] = float64(c.bytes) / (c.last - c.first).Seconds()
	}
	return out
}

// Figures describe what the checks of this package count.
func Figures() []scenario.Figure {
	return []scenario.Figure{
		{Name: "web.requests", Unit: "requests", Doc: "requests of browsers that have ended"},
		{Name: "web.answered", Unit: "requests", Doc: "those that were answered, by no error of a server"},
		{Name: "web.failed", Unit: "requests", Doc: "those that were not"},
		{Name: "web.repeated", Unit: "requests", Doc: "those for which more than one gateway was asked, or one twice"},
		{Name: "web.harm", Unit: "requests", Doc: "requests that asked functions for harm, and were answered"},
		{Name: "web.outside", Unit: "requests", Doc: "requests of functions that have come to hosts of the simulated outside"},
		{Name: "web.streams.whole", Unit: "requests", Doc: "streams that ended in order"},
		{Name: "web.streams.cut", Unit: "requests", Doc: "those that broke off, or did not begin"},
		{Name: "web.goodput", Unit: "bytes/s", Doc: "bytes of answers, by the time from the first request's end to the last one's"},
		{Name: "web.latency.median", Unit: "seconds", Doc: "how long answers took, the tries before included: the median"},
		{Name: "web.latency.p99", Unit: "seconds", Doc: "what 99 of 100 answers did not exceed"},
		{Name: "web.latency.max", Unit: "seconds", Doc: "the longest"},
	}
}

// follow compares substrates with tns.
type follow struct{ check.Tally }

func (*follow) Name() string { return "substrates-follow" }

// Settled implements check.OnSettled.
func (c *follow) Settled(v check.View) error {
	for _, service := range []string{tnsapi.Service, substrateapi.Service} {
		if err := check.Missing(v, service); err != nil {
			return err
		}
	}
	newest := map[tnsapi.BranchRequest]tnsapi.Version{}
	for _, n := range check.Expected(v, tnsapi.Service) {
		t, ok := n.Service(tnsapi.Service).(TNS)
		if !ok {
			continue
		}
		branches, err := t.Branches()
		if err != nil {
			return err
		}
		for _, b := range branches {
			if is, err := t.Current(b.Project, b.Branch); err == nil && is.Compare(newest[b]) > 0 {
				newest[b] = is
			}
		}
	}
	for _, n := range check.Expected(v, substrateapi.Service) {
		s, ok := n.Service(substrateapi.Service).(Substrate)
		if !ok {
			continue
		}
		for _, b := range slices.SortedFunc(maps.Keys(newest), evidence.CompareBranches) {
			c.Evaluated()
			is, served := s.Served(b.Project, b.Branch)
			if want := newest[b]; !served || is.Compare(want) != 0 {
				return fmt.Errorf("%s serves version %q of %s, branch %s, and %s is current", n.Name, is.Commit, b.Project, b.Branch, want.Commit)
			}
		}
	}
	return nil
}
