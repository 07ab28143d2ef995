package web

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/wasm/outbound"
)

// outward is the kind of a deployment whose function sends requests to the outside, and the mix of requests for it.
const outward = "outbound"

// outboundHosts are the hosts that it may ask. That it is allowed an address of the inside changes nothing.
var outboundHosts = []string{"*.outside.example", "169.254.169.254"}

// Answers of the function: how many handles of other requests it has found, the error of its own, the status and the body.
const (
	outReached = "0 0 200 hello from api.outside.example"
	outRefused = "0 13 "
)

// outTries are what the function is made to ask, and what it must get. The last takes longer than it may.
var outTries = []struct{ url, answer string }{
	{"http://api.outside.example/", outReached},
	{"http://api.outside.example/to-inside", outRefused},
	{"http://169.254.169.254/latest/meta-data/", outRefused},
	{"http://api.outside.example/to-elsewhere", outRefused},
	{"http://api.outside.example/to-itself", outReached},
	{"http://elsewhere.example/", outRefused},
	{"http://api.outside.example/to-turns", outRefused},
	{"http://api.outside.example/slow", ""},
}

// out asks the function to ask somebody, and looks at what has come of it.
func (p *httpParams) out(ctx context.Context, env node.Env, i int) {
	path, try := fmt.Sprintf("/out/%d", i), outTries[i%len(outTries)]
	method := http.MethodGet
	if try.answer == "" { // it would be repeated
		method = http.MethodPost
	}
	p.until(ctx, env, path, func(ctx context.Context, gate transport.Peer) (answered, error) {
		a, content, err := p.fetch(ctx, env, gate, method, path+"?url="+url.QueryEscape(try.url), http.NoBody)
		if err != nil {
			return a, err
		}
		if a.hostile = try.answer == ""; !a.hostile && a.status == http.StatusOK {
			a.alone, a.went = "yes", "yes"
			if !strings.HasPrefix(string(content), "0 ") {
				a.alone = fmt.Sprintf("%.100s", content)
			}
			if string(content) != try.answer {
				a.went = fmt.Sprintf("%.100s", content)
			}
		}
		return a, nil
	})
}

// reach demands that functions reach whom they may, and nobody else.
type reach struct {
	check.Tally
	asked int
}

func (*reach) Name() string { return "functions-go-where-they-may" }

// Fact implements check.OnFact.
func (c *reach) Fact(f check.Fact) error {
	switch f.Name {
	case "outside-asked":
		c.Evaluated()
		c.asked++
		host, address := f.Text("host"), f.Text("address")
		if a, err := netip.ParseAddr(address); err != nil || outbound.Public(a) != nil {
			return fmt.Errorf("a function of %s has reached %s at %s, which is not public", f.Text("project"), host, address)
		}
		allowed, err := outbound.Parse(outboundHosts)
		if err != nil || !allowed.Allows(host, 80) {
			return fmt.Errorf("a function of %s has reached %s, which nobody has allowed it", f.Text("project"), host)
		}
	case "http-answered":
		if went := f.Text("went"); went != "" {
			c.Evaluated()
			if went != "yes" {
				return fmt.Errorf("a function of %s that was made to ask somebody (%s) says: %s", f.Text("project"), f.Text("path"), went)
			}
		}
	}
	return nil
}

// Figures implements check.Figures.
func (c *reach) Figures() map[string]float64 {
	return map[string]float64{"web.outside": float64(c.asked)}
}
