package sweep

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/report"
)

var header = Header{Format: Format, Binary: "b1", Scenario: "s", SHA256: "5a", Wire: "direct"}

func run(seed uint64) Entry {
	return Entry{Result: report.Result{Scenario: "s", Seed: seed, Verdict: report.Held, About: "long", Figures: map[string]float64{"x": 1}}}
}

// TestATornLineIsCutOff: wherever the writing ended, the whole lines before are
// known, and what is added later is, too.
func TestATornLineIsCutOff(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	j, entries, err := Open(file, header)
	require.NoError(t, err)
	require.Empty(t, entries)
	require.NoError(t, j.Add(run(1)))
	require.NoError(t, j.Add(run(2)))
	require.NoError(t, j.Close())
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(whole), "long")
	for n := range whole {
		require.NoError(t, os.WriteFile(file, whole[:n], 0o644))
		j, entries, err := Open(file, header)
		require.NoError(t, err, "%d bytes", n)
		known := max(0, strings.Count(string(whole[:n]), "\n")-1)
		require.Len(t, entries, known)
		require.NoError(t, j.Add(run(7)))
		require.NoError(t, j.Close())
		h, entries, err := Read(file)
		require.NoError(t, err)
		require.Equal(t, header, h)
		require.Len(t, entries, known+1)
		require.EqualValues(t, 7, entries[known].Seed)
	}
}

func TestResultsOfSomethingElseAreRefused(t *testing.T) {
	dir := t.TempDir()
	refused := func(text, why string) {
		t.Helper()
		file := filepath.Join(dir, "x.jsonl")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		_, _, err := Open(file, header)
		require.ErrorContains(t, err, file+": "+why)
		after, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, text, string(after), "it is left as it was")
	}
	refused("name: a\n", "line 1 is none of a file of results")
	refused("{}\n", "line 1 is none of a file of results: no header")
	good := `{"dreamland_results":1,"binary":"b1","scenario":"s","scenario_sha256":"5a","wire":"direct"}` + "\n"
	refused(good+"oops\n{}\n", "line 2 is none")
	refused(good+strings.Repeat("x", lineLenMax+1), "line 2: longer than")
	for _, other := range []struct{ from, to, why string }{
		{`results":1`, `results":2`, "it has format 2"},
		{"5a", "5b", "it is of another scenario"},
		{"direct", "mocknet", "it is of the mocknet wire"},
		{`"b1"`, `"b2","revision":"abc"`, "it is of another build, from abc"},
		{`"direct"`, `"direct","strict":true`, "it is of runs that were judged with another --strict"},
	} {
		refused(strings.Replace(good, other.from, other.to, 1), other.why)
	}
	file := filepath.Join(dir, "mine.jsonl")
	j, _, err := Open(file, header)
	require.NoError(t, err)
	_, _, err = Open(file, header)
	require.ErrorContains(t, err, "another dreamland is writing to it")
	require.NoError(t, j.Close())
}

func TestEachSeedIsInOneShard(t *testing.T) {
	for _, bad := range []string{"0/2", "3/2", "x/2", "1", "1/0", "-1/2", "1/99999999"} {
		_, err := ParseShard(bad)
		require.Error(t, err, bad)
	}
	var shards []Shard
	for _, text := range []string{"1/3", "2/3", "3/3"} {
		s, err := ParseShard(text)
		require.NoError(t, err)
		require.False(t, s.Whole())
		shards = append(shards, s)
	}
	for offset := range uint64(10) {
		in := 0
		for _, s := range shards {
			if s.Has(offset) {
				in++
			}
		}
		require.Equal(t, 1, in)
	}
	whole, err := ParseShard("")
	require.NoError(t, err)
	require.True(t, whole.Whole() && whole.Has(5))
}
