package live

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport"
)

// FunctionsRequest asks what functions have used, on all substrates since each has started.
type FunctionsRequest struct {
	Project string `json:"project,omitempty"` // "": all
	Branch  string `json:"branch,omitempty"`  // "": the one in production, or all with no project
}

// FunctionsResponse has it, by node. Silent are substrates that have not answered.
type FunctionsResponse struct {
	Functions []FunctionUsage `json:"functions"`
	Silent    []string        `json:"silent"`
}

// FunctionUsage is what a function has used on a node.
type FunctionUsage struct {
	Node     string `json:"node"`
	Project  string `json:"project"`
	Branch   string `json:"branch"`
	Function string `json:"function"`
	Commit   string `json:"commit"` // that has answered last
	// Requests were run, Errors of them failed; Cold waited until the module was loaded; Refused found no place.
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
	Cold     uint64 `json:"cold"`
	Refused  uint64 `json:"refused"`
	InFlight int    `json:"in-flight"`
	Waiting  int    `json:"waiting"`
	// Fuel is what all have cost, in units of the engine, FuelMax the dearest.
	Fuel    uint64 `json:"fuel"`
	FuelMax uint64 `json:"fuel-max"`
	// MemoryMax is the most that one had, MemoryLimit what one may have, in bytes.
	MemoryMax   uint64 `json:"memory-max"`
	MemoryLimit uint64 `json:"memory-limit"`
	// Seconds is the sum of what they took, Took how that spreads.
	Seconds float64    `json:"seconds"`
	Took    []TookPart `json:"took"`
	Last    time.Time  `json:"last,omitzero"`
}

// TookPart is how many requests took so long, and no less than the part before. Most is 0 for the rest, which took longer.
type TookPart struct {
	Most     float64 `json:"most-seconds,omitempty"`
	Requests uint64  `json:"requests"`
}

// functions asks all substrates what functions have used.
func (r *running) functions(ctx context.Context, req FunctionsRequest) (resp FunctionsResponse, err error) {
	resp = FunctionsResponse{Functions: []FunctionUsage{}, Silent: []string{}}
	err = r.on(ctx, func(ctx context.Context, env node.Env) error {
		peers, _ := env.Wire.Directory().Lookup(substrateapi.Service)
		for _, p := range peers {
			within, cancel := clock.WithTimeout(ctx, env.Loop, saidTimeout)
			page, err := substrateapi.FunctionUsage.Call(within, env.Wire, p, substrateapi.UsageRequest{Project: req.Project, Branch: req.Branch})
			cancel()
			switch {
			case err == nil:
			case transport.KindOf(err) == transport.NotAllowed || ctx.Err() != nil:
				return err
			default:
				resp.Silent = append(resp.Silent, p.String())
			}
			for _, u := range page.Functions {
				resp.Functions = append(resp.Functions, usageOf(nameOf(env, p), u))
			}
		}
		if len(peers) == 0 {
			return transport.New(transport.NotFound, "functions", "no substrate is known, which would run functions")
		}
		return nil
	})
	return resp, err
}

func usageOf(name string, u substrateapi.Usage) FunctionUsage {
	out := FunctionUsage{
		Node: name, Project: u.Project, Branch: u.Branch, Function: u.Function, Commit: u.Commit, Requests: u.Requests, Errors: u.Errors, Cold: u.Cold, Refused: u.Refused,
		InFlight: u.InFlight, Waiting: u.Waiting, Fuel: u.Fuel, FuelMax: u.FuelMax, MemoryMax: u.MemoryMax, MemoryLimit: u.LimitMemory,
		Seconds: u.TookAll.Seconds(), Took: []TookPart{},
	}
	if u.At != 0 {
		out.Last = time.Unix(0, u.At).UTC()
	}
	for i, n := range u.Took {
		part := TookPart{Requests: n}
		if i < len(substrateapi.TookBounds) {
			part.Most = substrateapi.TookBounds[i].Seconds()
		}
		out.Took = append(out.Took, part)
	}
	return out
}

// functionSeriesMax bounds the functions of which there are metrics, each of 17 series: those that were asked for most.
const functionSeriesMax = 256

// functions are the metrics of those that this node runs.
func (s sample) functions(ctx context.Context, env node.Env) {
	ctx, cancel := clock.WithTimeout(ctx, env.Loop, saidTimeout)
	defer cancel()
	page, err := substrateapi.FunctionUsage.Call(ctx, env.Wire, env.Self, substrateapi.UsageRequest{})
	if err != nil {
		return
	}
	list := page.Functions
	slices.SortStableFunc(list, func(a, b substrateapi.Usage) int { return cmp.Compare(b.Requests, a.Requests) })
	for _, u := range list[:min(len(list), functionSeriesMax)] {
		s.set("tau_function_requests_total", float64(u.Requests-u.Errors), u.Project, u.Branch, u.Function, "answered")
		s.set("tau_function_requests_total", float64(u.Errors), u.Project, u.Branch, u.Function, "failed")
		s.set("tau_function_requests_total", float64(u.Refused), u.Project, u.Branch, u.Function, "refused")
		s.set("tau_function_cold_total", float64(u.Cold), u.Project, u.Branch, u.Function)
		s.set("tau_function_fuel_total", float64(u.Fuel), u.Project, u.Branch, u.Function)
		s.set("tau_function_memory_max_bytes", float64(u.MemoryMax), u.Project, u.Branch, u.Function)
		s.set("tau_function_in_flight", float64(u.InFlight), u.Project, u.Branch, u.Function)
		buckets, below := map[float64]uint64{}, uint64(0)
		for i, most := range substrateapi.TookBounds[:min(len(u.Took), len(substrateapi.TookBounds))] {
			below += u.Took[i]
			buckets[most.Seconds()] = below
		}
		s.to <- prometheus.MustNewConstHistogram(s.descs["tau_function_duration_seconds"], u.Requests, u.TookAll.Seconds(), buckets, u.Project, u.Branch, u.Function)
	}
}
