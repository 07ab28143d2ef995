package scenarios

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/scenarios/words"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/run"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/sim/tracefile"
)

// load parses all scenario files of this folder; in a worker, the one that it is there for.
func load(t testing.TB) []*scenario.Scenario {
	files, err := filepath.Glob(cmp.Or(workersStory(), "*") + ".yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all []*scenario.Scenario
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		s, err := scenario.Parse(file, raw, words.Vocabulary())
		require.NoError(t, err)
		all = append(all, s)
	}
	return all
}

// smallMax is how many events a scenario may have to be perturbed by the tests, which takes
// three times as long as a run. A larger one is run once on each wire; `make determinism`
// and `make sweep` have no such bound.
const smallMax = 40_000

// tinyMax is how many it may have to be run as often as can be, and with a second other seed.
const tinyMax = 12_000

// oneRun is how TestScenarios runs a scenario once.
type oneRun struct {
	wire    string
	threads int
	perturb uint64
}

// furtherRuns are those that come to the first one, which is on the direct wire, on one thread.
// A perturbed run is one on mocknet and on several threads, too.
func furtherRuns(events uint64) []oneRun {
	switch {
	case events > smallMax:
		return []oneRun{{scenario.Mocknet, 4, 0}}
	case events > tinyMax:
		return []oneRun{{scenario.Mocknet, 4, 1}}
	default:
		return []oneRun{{scenario.Mocknet, 4, 0}, {scenario.Direct, 2, 0}, {scenario.Mocknet, 1, 1}}
	}
}

// TestScenarios runs every scenario on both wires, on one thread and on several, small ones
// perturbed, and tiny ones twice on each wire: everything that it expects holds, and all runs
// have one digest.
func TestScenarios(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	used := newHits()
	all, ran := load(t), 0
	t.Cleanup(func() { // after the last of them
		if t.Failed() || ran < len(all) || workersStory() != "" { // -run chose some
			return
		}
		for _, p := range fail.Points() {
			assert.Positive(t, used.of(p.Name()), "no scenario makes the failpoint %s act: use it in one, or delete it", p.Name())
		}
	})
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			ran++
			if inWorker(t, used) {
				runWires(t, s, string(readme))
			}
		})
	}
}

// runWires is TestScenarios for one scenario.
func runWires(t *testing.T, s *scenario.Scenario, readme string) {
	defer runtime.GOMAXPROCS(1)
	require.Equal(t, s.Name+".yaml", s.File, "a scenario is named as its file")
	used := newHits()
	once := func(o oneRun) report.Result {
		runtime.GOMAXPROCS(o.threads)
		r := run.Run(s, words.Vocabulary(), run.Options{Seed: s.Seed, Wire: o.wire, Perturb: o.perturb, Strict: true})
		used.add(fail.Hits())
		require.Empty(t, r.Broken(), "%s", r.Replay)
		return r
	}
	first := once(oneRun{scenario.Direct, 1, 0})
	for _, o := range furtherRuns(first.Events) {
		r := once(o)
		require.Equal(t, first.Digest, r.Digest, "%+v; compare with: dreamland determinism scenarios/%s", o, s.File)
		require.Equal(t, first.Events, r.Events)
	}
	used.print()
	if strings.Contains(readme, "replay   dreamland sim scenarios/"+s.File) {
		require.True(t, strings.Contains(readme, first.Digest), "the README shows a run as it is no more: paste a new one")
	}
}

// TestOtherSeeds runs each scenario with a few seeds that it was not written
// with; `make sweep` runs many. No two seeds may tell the same story.
func TestOtherSeeds(t *testing.T) {
	const seeds = 2
	for _, s := range load(t) {
		t.Run(s.Name, func(t *testing.T) {
			if !inWorker(t, newHits()) {
				return
			}
			digests := map[string]bool{}
			for seed := range uint64(seeds) {
				r := run.Run(s, words.Vocabulary(), run.Options{Seed: 1000 + seed, Wire: scenario.Direct})
				require.Empty(t, r.Broken(), "%s", r.Replay)
				require.NotContains(t, digests, r.Digest, "each seed has a digest of its own")
				digests[r.Digest] = true
				if r.Events > tinyMax {
					break
				}
			}
		})
	}
}

// TestTraceIsCanonical: the digest is that of the trace, whose lines are JSON
// without anything that differs from run to run, and as the schema says.
func TestTraceIsCanonical(t *testing.T) {
	all := load(t)
	s := all[slices.IndexFunc(all, func(s *scenario.Scenario) bool { return s.Name == "monkey-paused" })]
	var a, b bytes.Buffer
	ra := run.Run(s, words.Vocabulary(), run.Options{Seed: s.Seed, Wire: scenario.Direct, Trace: &a})
	rb := run.Run(s, words.Vocabulary(), run.Options{Seed: s.Seed, Wire: scenario.Mocknet, Trace: &b})
	require.Equal(t, ra.Digest, rb.Digest)
	require.True(t, a.String() == b.String(), "the traces of both wires are equal")
	require.NotContains(t, a.String(), "0xc0", "an address")
	require.Equal(t, strings.Count(a.String(), "\n"), strings.Count(a.String(), "{\"t\":"))
	digest := tracefile.NewDigest()
	for line := range bytes.Lines(a.Bytes()) {
		digest.Add(line)
	}
	require.Equal(t, ra.Digest, digest.Sum())
	requireSchema(t, a.Bytes())
	for _, part := range []string{
		`"duplicate":false`, `"x":{"id":`, `"src":"services/patrick/`, `"what":"response","method":"patrick/claim"`,
		`"says":"I hold the lock, attempt 1"`, `"sum":"-`,
	} {
		require.True(t, strings.Contains(a.String(), part), part)
	}
}

// schemaLinesMax is how many lines of each kind are held against the schema, which
// takes its time.
const schemaLinesMax = 100

func requireSchema(t *testing.T, trace []byte) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(tracefile.Schema))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("schema.json", document))
	schema, err := compiler.Compile("schema.json")
	require.NoError(t, err)
	seen := map[string]int{}
	for line := range bytes.Lines(trace) {
		kind := string(bytes.SplitN(line, []byte(`"`), 7)[5])
		if seen[kind]++; seen[kind] > schemaLinesMax {
			continue
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		require.NoError(t, err, "%s", line)
		require.NoError(t, schema.Validate(value), "%s", line)
	}
	require.GreaterOrEqual(t, len(seen), 12, "kinds of lines")
	for _, bad := range []string{
		`{"t":1,"k":"fact","n":"a","s":"b","f":"c","v":{"x":9.5},"x":{"id":1}}`, `{"t":1,"k":"nonsense","x":{"id":1}}`,
		`{"t":9007199254740994,"k":"missed","l":"a>b","x":{"id":1}}`, `{"t":1,"k":"missed","l":"a>b"}`,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
		require.NoError(t, err)
		require.Error(t, schema.Validate(value), bad)
	}
}

// TestMain suits the process to worlds as cmd/dreamland does.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(3 << 30)
	os.Exit(m.Run())
}
