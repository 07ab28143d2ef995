package engine

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/fixtures/guests"
	"github.com/taucloud/tau/wasm/rewrite"
)

// Times are of the processor, of the whole process: machines are busy.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const benchRequest = `{"name": "x", "items": [3, 1, 2], "more": {"b": 1, "a": [true, null]}}`

// bench is one way to answer a request.
type bench struct {
	name string
	do   func()
}

func benches(b *testing.B, guest, entry string) []bench {
	ctx := context.Background()
	limits := DefaultLimits()
	f := load(b, newEngine(b, Options{}), guest, Setup{Limits: limits, Warm: &Request{Entry: entry, Stdin: strings.NewReader(benchRequest)}})
	var out bytes.Buffer
	in := strings.NewReader("")
	request := func() *Request {
		out.Reset()
		in.Reset(benchRequest)
		return &Request{Entry: entry, Stdin: in, Stdout: &out}
	}
	warm, err := f.newInstance()
	require.NoError(b, err)
	b.Cleanup(warm.close)
	call := func(i *instance) {
		if _, _, err := i.call(ctx, request(), i.function.setup.Limits); err != nil {
			panic(err)
		}
	}
	return []bench{
		{"warm without reset", func() { call(warm) }},
		{"call and reset", func() {
			if _, _, err := f.Call(ctx, request()); err != nil {
				panic(err)
			}
		}},
		{"new from the snapshot", func() {
			i, err := f.newInstance()
			if err != nil {
				panic(err)
			}
			call(i)
			i.close()
		}},
		{"new and initialised", func() {
			i, err := (&Function{engine: f.engine, prepared: f.prepared, setup: f.setup, code: f.code}).initialised(ctx)
			if err != nil {
				panic(err)
			}
			call(i)
			i.close()
		}},
	}
}

// BenchmarkCalls interleaves the ways to answer the same request, and ends with their ratios (medians of rounds).
func BenchmarkCalls(b *testing.B) {
	for _, guest := range []struct{ name, module, entry string }{{"c", "probe-c", "handle"}, {"as", "probe-as", "handle"}, {"go", "probe-go", "answer"}} {
		b.Run(guest.name, func(b *testing.B) {
			all := benches(b, guest.module, guest.entry)
			took := make([][]float64, len(all))
			for range b.N {
				for k, way := range all {
					calls := 300
					if k > 1 {
						calls = 20
					}
					for range calls / 10 {
						way.do()
					}
					begun := processorTime()
					for range calls {
						way.do()
					}
					took[k] = append(took[k], float64(processorTime()-begun)/float64(calls))
				}
			}
			for k, way := range all {
				slices.Sort(took[k])
				median := took[k][len(took[k])/2]
				b.ReportMetric(median/1000, strings.ReplaceAll(way.name, " ", "-")+"-us")
				if base := took[1][len(took[1])/2]; k != 1 {
					fmt.Printf("ratio %s: %s / call and reset %.2f\n", guest.name, way.name, median/base)
				}
			}
		})
	}
}

// BenchmarkReset is the reset alone, after a call.
func BenchmarkReset(b *testing.B) {
	for _, guest := range []struct{ module, entry string }{{"probe-c", "handle"}, {"probe-go", "answer"}} {
		for _, way := range slices.Sorted(maps.Keys(ways)) {
			b.Run(guest.module+"/"+ways[way], func(b *testing.B) {
				forceWay(way)
				defer forceWay(-1)
				f := load(b, newEngine(b, Options{}), guest.module, Setup{Limits: DefaultLimits(), Warm: &Request{Entry: guest.entry, Stdin: strings.NewReader(benchRequest)}})
				i, err := f.newInstance()
				require.NoError(b, err)
				defer i.close()
				_, _, err = i.call(context.Background(), &Request{Entry: guest.entry, Stdin: strings.NewReader(benchRequest)}, f.setup.Limits)
				require.NoError(b, err)
				begun := processorTime()
				for b.Loop() {
					i.reset()
				}
				b.ReportMetric(float64(processorTime()-begun)/float64(b.N)/1000, "cpu-us/op")
				b.ReportMetric(float64(i.pages), "pages")
			})
		}
	}
}

// BenchmarkNeighbour is how long an answer takes, alone and beside guests that loop without an end.
func BenchmarkNeighbour(b *testing.B) {
	for _, spinning := range []int{0, 1, 2} {
		b.Run(fmt.Sprintf("beside %d", spinning), func(b *testing.B) {
			e := newEngine(b, Options{})
			limits := DefaultLimits()
			limits.Fuel = 1 << 60
			bad, good := load(b, e, "probe-c", Setup{Limits: limits}), load(b, e, "probe-c", Setup{})
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, spinning)
			for range spinning {
				go func() {
					_, _, err := bad.Call(ctx, &Request{Entry: "spin"})
					ended <- err
				}()
			}
			var took []time.Duration
			for range b.N * 100 {
				begun := time.Now()
				mustAsk(b, good, "handle", "x")
				took = append(took, time.Since(begun))
			}
			cancel()
			for range spinning {
				<-ended
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2])/1000, "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100])/1000, "p99-us")
		})
	}
}

// BenchmarkPrepare and BenchmarkLoad are what a module costs before its first call.
func BenchmarkPrepare(b *testing.B) {
	for _, name := range []string{"probe-c", "probe-go"} {
		b.Run(name, func(b *testing.B) {
			wasm := guests.Read(name)
			begun := processorTime()
			for b.Loop() {
				_, _, err := rewrite.Module(wasm, Shape())
				require.NoError(b, err)
			}
			b.ReportMetric(float64(processorTime()-begun)/float64(b.N)/1e6, "cpu-ms/op")
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, name := range []string{"probe-c", "probe-go"} {
		for _, kind := range []string{"compiled", "from disk"} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				p := prepare(b, name)
				dir := b.TempDir()
				var total time.Duration
				for n := range b.N + 1 {
					if kind == "compiled" {
						dir = b.TempDir()
					}
					e := newEngine(b, Options{CacheDir: dir})
					begun := processorTime()
					f, err := e.Load(context.Background(), p, Setup{})
					require.NoError(b, err)
					if n > 0 {
						total += processorTime() - begun
					}
					f.Close()
				}
				b.ReportMetric(float64(total)/float64(b.N)/1e6, "cpu-ms/op")
			})
		}
	}
}
