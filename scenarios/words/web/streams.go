package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport/httpstream"
)

// stream is the kind of a deployment, and the mix of requests for it.
const stream = "stream"

const (
	// eventsSent are the events of a stream, eventEvery the time between two.
	eventsSent, eventEvery = 10, time.Second
	// lateFor is how long an answer is waited for that comes late: longer than a gateway's try.
	lateFor = 8 * time.Second
	// slowSize is how long an answer is that is read slowly, in bytes: slowPart at a time, with slowPause after it.
	slowSize, slowPart, slowPause = 400_000, 40_000, time.Second
)

// streamed is what came of reading a stream.
type streamed struct {
	kind        string
	status      int
	got, want   int
	whole       bool // it ended in order
	first, last time.Duration
	err         error
}

// read reads a stream, of one gateway. In turns, it is one of events, an answer that comes late, and one that is read slowly.
func (p *httpParams) read(ctx context.Context, env node.Env, i int) {
	list := gateways(env)
	if len(list) == 0 {
		return
	}
	s := streamed{kind: []string{"events", "late", "slow"}[i%3]}
	gate := list[env.Rand.IntN(len(list))]
	query := map[string]string{"events": fmt.Sprintf("events+%d+%d", eventsSent, eventEvery.Milliseconds()), "late": fmt.Sprintf("late+%d", lateFor.Milliseconds()),
		"slow": fmt.Sprintf("declared+size+%d", slowSize)}[s.kind]
	ctx, cancel := clock.WithTimeout(ctx, env.Loop, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/%d?%s", hostOf(p.Project), i, query), http.NoBody)
	if err != nil {
		return
	}
	began := env.Loop.Elapsed()
	response, err := httpstream.Do(ctx, env.Wire, gate, gatewayapi.HTTP.Name, r)
	if s.err = err; err == nil {
		s.status = response.StatusCode
		p.follow(ctx, env, response, &s, began)
		_ = response.Body.Close()
	}
	why := ""
	if s.err != nil {
		why = s.err.Error()
	}
	env.Observe("http-streamed", node.F("project", p.Project), node.F("kind", s.kind), node.F("status", s.status), node.F("got", s.got), node.F("want", s.want), node.F("whole", s.whole),
		node.F("first", s.first), node.F("last", s.last), node.F("gateway", gate), node.F("why", why))
}

func (p *httpParams) follow(ctx context.Context, env node.Env, response *http.Response, s *streamed, began time.Duration) {
	notes := func(n int) {
		if s.last = env.Loop.Elapsed() - began; s.got == 0 {
			s.first = s.last
		}
		s.got += n
	}
	end := func(err error) {
		if s.whole = errors.Is(err, io.EOF); !s.whole {
			s.err = err
		}
	}
	switch {
	case s.status != http.StatusOK:
	case s.kind == "slow":
		s.want = slowSize
		for part := make([]byte, slowPart); ; {
			n, err := io.ReadFull(response.Body, part)
			if notes(n); err != nil {
				if errors.Is(err, io.ErrUnexpectedEOF) && s.got == slowSize {
					err = io.EOF
				}
				end(err)
				return
			}
			if clock.Sleep(ctx, env.Loop, slowPause) != nil {
				return
			}
		}
	case s.kind == "late":
		s.want = 1
		text, err := io.ReadAll(response.Body)
		if notes(0); err == nil && string(text) == "late\n" {
			s.got, err = 1, io.EOF
		}
		end(err)
	default:
		s.want = eventsSent
		for in := bufio.NewReader(response.Body); ; {
			line, err := in.ReadString('\n')
			if line == fmt.Sprintf("data: %d\n", s.got) {
				notes(1)
			}
			if err != nil {
				end(err)
				return
			}
		}
	}
}

// flowing demands that streams flow, and that those that seem whole are.
type flowing struct {
	check.Tally
	whole, cut int
	slowest    time.Duration
}

func (*flowing) Name() string { return "streams-are-whole" }

// isTrue reports whether a fact says so; in one that was written down it is a text.
func isTrue(f check.Fact, name string) bool { return fmt.Sprint(f.Get(name)) == "true" }

// Fact implements check.OnFact.
func (c *flowing) Fact(f check.Fact) error {
	if f.Name != "http-streamed" {
		return nil
	}
	kind, got, want, whole := f.Text("kind"), f.Int("got"), f.Int("want"), isTrue(f, "whole")
	first, last := time.Duration(f.Int("first")), time.Duration(f.Int("last"))
	if f.Int("status") != http.StatusOK || !whole {
		c.cut++
		c.Excused("its nodes may have gone")
		return nil
	}
	c.Evaluated()
	c.whole++
	c.slowest = max(c.slowest, first)
	switch {
	case got != want:
		return fmt.Errorf("a stream (%s) ended as if it were whole with %d of %d", kind, got, want)
	case kind == "events" && last-first < (eventsSent-2)*eventEvery:
		return fmt.Errorf("%d events that were made in %v came within %v: they were kept back", eventsSent, (eventsSent-1)*eventEvery, last-first)
	}
	return nil
}

// Figures implements check.Figures.
func (c *flowing) Figures() map[string]float64 {
	return map[string]float64{"web.streams.whole": float64(c.whole), "web.streams.cut": float64(c.cut)}
}

// once demands that no request is run twice.
type once struct {
	check.Tally
	ran map[string]string // by id: where
}

func (*once) Name() string { return "functions-run-once" }

// ranMax bounds the ids that are remembered.
const ranMax = 1 << 17

// Fact implements check.OnFact.
func (c *once) Fact(f check.Fact) error {
	id := f.Text("id")
	if f.Name != "function-ran" || id == "" || len(c.ran) >= ranMax {
		return nil
	}
	c.Evaluated()
	if where, twice := c.ran[id]; twice {
		return fmt.Errorf("request %s to a function of %s was run at %s and at %s", id, f.Text("project"), where, f.Node)
	}
	c.ran[id] = f.Node
	return nil
}

func streamChecks() []scenario.Check {
	return []scenario.Check{
		{Name: "streams-are-whole", Doc: "an answer of a function that goes on comes as it is made - events a second apart come a second apart -, and one that ends in order is whole: of what is cut the client sees that it is",
			New: func() check.Checker { return &flowing{} }},
		{Name: "functions-run-once", Doc: "no request is run by two functions, however long it takes",
			New: func() check.Checker { return &once{ran: map[string]string{}} }},
	}
}
