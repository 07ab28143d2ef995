package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/taucloud/tau/fixtures/guests"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// function is the kind of a deployment, and the mix of requests for it; script is one in JavaScript.
const (
	function = "function"
	script   = "script"
)

// builtFunction is what a builder makes of a function: a module, or a bundle, with the commit in it.
func (p *deployParams) builtFunction() (content []byte, entries []tnsapi.Entry, err error) {
	const target = "functions/page"
	f := project.Function{Base: project.Base{Name: "page"}, Type: "https", Methods: []string{"GET", "POST"}, Paths: []string{"/{rest...}"}, Domains: []string{"www"},
		Source: ".", Call: "page", Timeout: project.Duration(p.Timeout), Memory: 1 << 20, Concurrency: p.Limit, Environment: map[string]string{"GREETING": "hello"}}
	asset := guests.Version(p.Commit)
	switch p.Kind {
	case script:
		asset, f.Memory = guests.Script(p.Commit), 8<<20
	case stream:
		asset = guests.Read("stream-c")
	case outward:
		f.Call, f.Outbound, asset = "out", outboundHosts, guests.Read("out-c")
	}
	compiled, err := project.Compile(&project.Project{Name: p.Project, Scope: project.Scope{
		Domains: []project.Domain{{Base: project.Base{Name: "www"}, FQDN: hostOf(p.Project)}}, Functions: []project.Function{f},
	}}, project.Options{Project: p.Project})
	if err != nil {
		return nil, nil, err
	}
	bundle := build.NewBundle()
	step := build.Step{Toolchain: build.Prebuilt, Folder: target, Targets: []string{target}, Calls: []string{f.Call}}
	if err := bundle.Add(step, "", asset); err != nil {
		return nil, nil, err
	}
	for _, e := range compiled.Entries {
		entries = append(entries, tnsapi.Entry{Path: e.Path, Value: e.Value})
	}
	entries = append(entries, tnsapi.Entry{Path: build.AssetsPrefix + target, Value: []byte(bundle.Entries()[build.AssetsPrefix+target])})
	return bundle.Content(), entries, nil
}

// harm is what hostile requests ask for.
var harm = []string{"spin", "trap", "big"}

// call asks a function something that nobody else asks, and looks whether the answer is of that alone.
func (p *httpParams) call(ctx context.Context, env node.Env, i int) {
	path, query := fmt.Sprintf("/call/%d", i), fmt.Sprintf("mark-%d-%x", i, env.Rand.Uint32())
	hostile := p.Mix == "hostile" && i%10 == 9
	if hostile {
		query = harm[i/10%len(harm)] + "-" + query
	}
	p.until(ctx, env, path, func(ctx context.Context, gate transport.Peer) (answered, error) {
		method, body := http.MethodGet, io.Reader(http.NoBody)
		if hostile { // it would be repeated
			method, body = http.MethodPost, strings.NewReader(query)
		}
		a, content, err := p.fetch(ctx, env, gate, method, path+"?"+query, body)
		if err != nil && hostile && len(content) > 0 { // what has no end is cut
			return answered{status: a.status, took: a.took, hostile: true, cut: true}, nil
		}
		if err != nil {
			return a, err
		}
		a.hostile = hostile
		if a.status != http.StatusOK {
			a.says = string(content[:min(len(content), 100)])
			return a, nil
		}
		a.said, a.alone = saidBy(content, method, path)
		return a, nil
	})
}

// saidBy reads the answer of the function: the version that it says that it is of, and "yes" if it has seen nothing but the request.
func saidBy(content []byte, method, path string) (version, alone string) {
	first, rest, _ := bytes.Cut(content, []byte("\n"))
	_, inner, _ := strings.Cut(string(first), "[")
	version, asked, _ := strings.Cut(inner, "]")
	version = strings.TrimRight(version, ".")
	if want := "count 1, before nothing\ngreeting hello, parameter \n"; asked == " "+method+" "+path && string(rest) == want {
		return version, "yes"
	}
	return version, fmt.Sprintf("%.200s", content)
}

// alone demands that a function sees one request only.
type alone struct{ check.Tally }

func (*alone) Name() string { return "requests-are-alone" }

// Fact implements check.OnFact.
func (c *alone) Fact(f check.Fact) error {
	if f.Name != "http-answered" || f.Text("alone") == "" {
		return nil
	}
	c.Evaluated()
	if f.Text("alone") != "yes" {
		return fmt.Errorf("a function of %s that was asked for %s has seen another request: %s", f.Text("project"), f.Text("path"), f.Text("alone"))
	}
	return nil
}

// hostileFor is how long a hostile request may take, the timeout of its function included, which is 2 s at most: it waits for a place, for assets and for
// the module.
const hostileFor = 10 * time.Second

// bounded demands that what does harm ends, and that functions keep to their limits.
type bounded struct {
	check.Tally
	limit map[string]int
	ended int
}

func (*bounded) Name() string { return "functions-are-bounded" }

// Fact implements check.OnFact.
func (c *bounded) Fact(f check.Fact) error {
	switch f.Name {
	case "deploy-sent":
		if f.Text("kind") != "website" {
			c.limit[f.Text("project")] = max(c.limit[f.Text("project")], int(f.Int("limit")))
		}
	case "http-hostile":
		c.Evaluated()
		c.ended++
		if status, took := f.Int("status"), time.Duration(f.Int("took")); status < 500 && !isTrue(f, "cut") || took > hostileFor {
			return fmt.Errorf("%s, which does harm, was answered with status %d after %v: %s", f.Text("path"), status, took, f.Text("says"))
		}
	case "function-ran":
		most := int64(c.limit[f.Text("project")])
		c.Evaluated()
		if n := f.Int("at-once"); most > 0 && n > most {
			return fmt.Errorf("%s answers %d requests of %s at once, and may answer %d", f.Node, n, f.Text("project"), most)
		}
		if took := time.Duration(f.Int("took")); took > hostileFor {
			return fmt.Errorf("a function of %s has run for %v", f.Text("project"), took)
		}
	}
	return nil
}

// Figures implements check.Figures.
func (c *bounded) Figures() map[string]float64 {
	return map[string]float64{"web.harm": float64(c.ended)}
}

// functionChecks are what is expected of functions.
func functionChecks() []scenario.Check {
	return []scenario.Check{
		{Name: "requests-are-alone", Doc: "a function that is asked sees this request and nothing of any other: its memory is as it was at its start, and the answer is to what was asked",
			New: func() check.Checker { return &alone{} }},
		{Name: "functions-are-bounded", Doc: "a request that makes its function run without an end, trap or answer without an end gets an error of a server within 10 s, or an answer that breaks off; and no function answers more requests at once on a node than it may",
			New: func() check.Checker { return &bounded{limit: map[string]int{}} }},
		{Name: "functions-go-where-they-may", Doc: "a function that sends requests reaches the hosts that its project has allowed it, at public addresses, whether they are named, resolved or redirected to, and nobody else; it is told what came of each",
			New: func() check.Checker { return &reach{} }},
	}
}
