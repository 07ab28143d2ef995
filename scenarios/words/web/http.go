package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// httpParams is what the browsers of a timeline may say.
type httpParams struct {
	Project string        `yaml:"project" range:"1..63" doc:"whose website is read"`
	Of      int           `yaml:"of" range:"0..10000" doc:"of so many projects, PROJECT1 to PROJECTN, one is drawn for each request; 0: there is one"`
	Pages   int           `yaml:"pages" range:"1..1000" doc:"of how many pages one is drawn for each request"`
	Mix     string        `yaml:"mix" values:"pages missing function hostile outbound stream" doc:"pages: all are pages; missing: every fourth request is for one that there is not; function: all are for the function of the project; hostile: all are so, and every tenth does not end by itself, traps, or answers with no end; outbound: all are for a function that sends requests itself, to where it may and to where it may not, and every eighth of these takes too long; stream: in turns one of events, one that comes late and one that is read slowly, of a function of kind stream"`
	Rate    int           `yaml:"rate" range:"1..10000" doc:"requests a second, however long answers take"`
	For     time.Duration `yaml:"for" range:"0s..24h" doc:"how long"`
	Timeout time.Duration `yaml:"timeout" range:"10ms..1h" doc:"for how long a browser waits at one gateway"`
}

func httpAction() scenario.Action {
	return scenario.Action{
		Name: "http", Service: gatewayapi.Service, Example: "http: {project: shop, pages: 10, rate: 20, for: 1m, to: core-*}",
		Doc: "browsers read pages of a website; one whose gateway cannot be reached, or breaks off, asks another one",
		Params: func() any {
			return &httpParams{Project: "hello", Pages: 3, Mix: "pages", Rate: 5, For: 10 * time.Second, Timeout: 15 * time.Second}
		},
		Run: func(ctx context.Context, client node.Env, params any, _ int) error {
			return params.(*httpParams).run(ctx, client)
		},
	}
}

// run sends requests at the rate, and waits until all are over.
func (p *httpParams) run(ctx context.Context, env node.Env) error {
	open, wake := 0, func() {}
	for i := range max(1, int(p.For.Seconds()*float64(p.Rate))) {
		path := "/" + pageName(env.Rand.IntN(p.Pages))
		if path == "/"+pageName(0) {
			path = "/"
		}
		if p.Mix == "missing" && i%4 == 3 {
			path = fmt.Sprintf("/missing-%d.html", i)
		}
		open++
		p := p
		if p.Of > 0 {
			one := *p
			one.Project = fmt.Sprint(p.Project, 1+env.Rand.IntN(p.Of))
			p = &one
		}
		env.Loop.Go("browser", func(ctx context.Context) {
			switch p.Mix {
			case stream:
				p.read(ctx, env, i)
			case function, "hostile":
				p.call(ctx, env, i)
			case outward:
				p.out(ctx, env, i)
			default:
				p.one(ctx, env, path)
			}
			open--
			wake()
		})
		if err := clock.Sleep(ctx, env.Loop, time.Second/time.Duration(p.Rate)); err != nil {
			return err
		}
	}
	for open > 0 {
		if err := env.Loop.Park(ctx, func(w func()) { wake = w }); err != nil {
			return err
		}
	}
	return nil
}

// roundsMax is how often a browser asks all gateways.
const roundsMax = 2

// one is a request, which is asked of one gateway after the other until there is an answer.
func (p *httpParams) one(ctx context.Context, env node.Env, path string) {
	p.until(ctx, env, path, func(ctx context.Context, gate transport.Peer) (answered, error) { return p.ask(ctx, env, gate, path) })
}

// until asks one gateway after the other until there is an answer.
func (p *httpParams) until(ctx context.Context, env node.Env, path string, ask func(ctx context.Context, gate transport.Peer) (answered, error)) {
	began, tries, why := env.Loop.Elapsed(), 0, "no gateway is known"
	list := gateways(env)
	if len(list) > 0 {
		from := env.Rand.IntN(len(list))
		list = slices.Concat(list[from:], list[:from])
	}
	for range roundsMax {
		for _, gate := range list {
			tries++
			a, err := ask(ctx, gate)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				why = err.Error()
				continue
			}
			if a.hostile {
				env.Observe("http-hostile", node.F("project", p.Project), node.F("path", path), node.F("status", a.status), node.F("took", a.took), node.F("cut", a.cut), node.F("says", a.says))
				return
			}
			fields := []node.Field{
				node.F("project", p.Project), node.F("path", path), node.F("status", a.status), node.F("version", a.version),
				node.F("digest", a.digest), node.F("bytes", a.bytes), node.F("took", env.Loop.Elapsed()-began), node.F("last", a.took), node.F("tries", tries), node.F("gateway", gate), node.F("says", a.says), node.F("said", a.said), node.F("alone", a.alone),
			}
			if a.went != "" {
				fields = append(fields, node.F("went", a.went))
			}
			env.Observe("http-answered", fields...)
			return
		}
	}
	env.Observe("http-failed", node.F("project", p.Project), node.F("path", path), node.F("why", why), node.F("took", env.Loop.Elapsed()-began), node.F("tries", tries))
}

type answered struct {
	status                int
	version, digest, says string
	bytes                 int
	// said is the version that a function says that it is of; alone whether it has seen nothing but this request.
	said, alone string
	// went is "yes" if a function that was made to send a request has got what it was to get.
	went    string
	hostile bool
	// cut: the answer broke off in its midst.
	cut  bool
	took time.Duration
}

func (p *httpParams) ask(ctx context.Context, env node.Env, gate transport.Peer, path string) (answered, error) {
	a, content, err := p.fetch(ctx, env, gate, http.MethodGet, path, http.NoBody)
	if err == nil && a.status >= 500 {
		a.says = string(content[:min(len(content), 100)])
	}
	return a, err
}

// fetch sends a request to a gateway, and reads the answer.
func (p *httpParams) fetch(ctx context.Context, env node.Env, gate transport.Peer, method, target string, body io.Reader) (a answered, content []byte, err error) {
	began := env.Loop.Elapsed()
	ctx, cancel := clock.WithTimeout(ctx, env.Loop, p.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+hostOf(p.Project)+target, body)
	if err != nil {
		return a, nil, err
	}
	response, err := httpstream.Do(ctx, env.Wire, gate, gatewayapi.HTTP.Name, r)
	if err != nil {
		return a, nil, err
	}
	defer response.Body.Close()
	content, err = io.ReadAll(response.Body)
	if err != nil && ctx.Err() != nil {
		return a, nil, err
	}
	a = answered{status: response.StatusCode, version: response.Header.Get(substrateapi.HeaderVersion), digest: digest(content), bytes: len(content), took: env.Loop.Elapsed() - began}
	return a, content, err // what has come before it broke off
}
