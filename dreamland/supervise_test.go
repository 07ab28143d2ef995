package dreamland

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// TestAWorkerThatDiesLeavesEvidence: a panic that nobody can recover from, on a
// goroutine of a library.
func TestAWorkerThatDiesLeavesEvidence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trace.jsonl")
	trace, err := openTrace(file)
	require.NoError(t, err)
	lines := strings.Repeat(`{"t":1,"k":"x"}`+"\n", 600_000) // more than two windows
	_, err = trace.Write([]byte(lines))
	require.NoError(t, err) // and it is never closed

	j := job{scenario: &scenario.Scenario{Name: "s", File: "s.yaml"}, seed: 7, wire: "direct", trace: file}
	r := j.result(nil, []byte("note\npanic: oh\n\ngoroutine 9 [running]:\npanic(0x1)\n\t/go/panic.go:1 +0x1\ngithub.com/a/b.F(0x1)\n\t/a/b.go:7 +0x2\n"), errors.New("exit status 2"))
	require.Equal(t, report.Failed, r.Verdict)
	require.Equal(t, &report.Breakdown{Kind: "panic", Task: "a goroutine of a library", What: "oh", Stack: []string{"github.com/a/b.F /a/b.go:7"}}, r.Breakdown)
	require.Contains(t, r.Expectations[0].Detail, "oh\n\tgithub.com/a/b.F /a/b.go:7")
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, string(kept) == lines, "the trace to its last line, and nothing else: %d bytes of %d", len(kept), len(lines))
}
