package tau_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// examples are modules of their own.
var examples = []string{example, "examples/gossip"}

const example = "examples/counter"

// outside runs a command in the example as somebody would who has nothing but the
// module cache, and returns its output and whether it succeeded.
func outside(t *testing.T, name string, args ...string) (string, bool) {
	return outsideIn(t, example, name, args...)
}

func outsideIn(t *testing.T, dir, name string, args ...string) (string, bool) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// TestTheExampleIsAnOutsideModule: it has what this module has, and asks for nothing
// else.
func TestTheExampleIsAnOutsideModule(t *testing.T) {
	ours, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	ourSums, err := os.ReadFile("go.sum")
	require.NoError(t, err)
	_, ourRequires, _ := strings.Cut(string(ours), "\n")
	want := ourRequires + "\nrequire github.com/taucloud/tau v0.0.0\n\nreplace github.com/taucloud/tau => ../..\n"
	for _, dir := range examples {
		theirs, err := os.ReadFile(dir + "/go.mod")
		require.NoError(t, err)
		_, theirRequires, _ := strings.Cut(string(theirs), "\n")
		require.Equal(t, want, theirRequires, "%s/go.mod: copy what is in go.mod", dir)
		theirSums, err := os.ReadFile(dir + "/go.sum")
		require.NoError(t, err)
		require.Equal(t, string(ourSums), string(theirSums), "%s/go.sum: copy go.sum", dir)
	}
}

// TestLibp2pCodeInTheWorld: gossipsub, unchanged, runs and replays.
func TestLibp2pCodeInTheWorld(t *testing.T) {
	out, ok := outsideIn(t, "examples/gossip", "go", "test", "./...")
	require.True(t, ok, "%s", out)
}

// TestTheExampleHolds: its tests, and its program: what it says of itself, and a
// failure from the seed to a small file and a test.
func TestTheExampleHolds(t *testing.T) {
	out, ok := outside(t, "go", "test", "./...")
	require.True(t, ok, "%s", out)
	program := filepath.Join(t.TempDir(), "countersim")
	out, ok = outside(t, "go", "build", "-o", program, "./cmd/countersim")
	require.True(t, ok, "%s", out)

	out, ok = outside(t, program, "scenario", "words")
	require.True(t, ok, "%s", out)
	for _, word := range []string{"  add ", "  nothing-acknowledged-is-lost ", "  adds.acknowledged ", "  counter ", "  power "} {
		require.Contains(t, out, "\n"+word)
	}
	require.NotContains(t, out, "patrick", "words of other services")
	out, ok = outside(t, program, "sim", "planted.yaml", "--seeds", "30", "--quiet", "--wire", "direct")
	require.False(t, ok, "no seed finds the bug that was planted")
	replay := regexp.MustCompile(`replay: (\S+) sim planted.yaml --seed (\d+) `).FindStringSubmatch(out)
	require.NotNil(t, replay, "%s", out)
	require.Equal(t, program, replay[1], "the replay is a command that there is")

	small := filepath.Join(t.TempDir(), "small.yaml")
	out, ok = outside(t, program, "shrink", "planted.yaml", "--seed", replay[2], "--out", small)
	require.True(t, ok, "%s", out)
	out, ok = outside(t, program, "sim", small, "--quiet")
	require.False(t, ok)
	require.Contains(t, out, "nothing-acknowledged-is-lost")
	test, err := os.ReadFile(strings.TrimSuffix(small, ".yaml") + "_test.go")
	require.NoError(t, err)
	require.Contains(t, string(test), `"example.com/counter"`)
	require.Contains(t, string(test), `simtest.Run(t, words.Vocabulary(), "small.yaml")`)
}

// TestAReplayOfGoRunIsGoRun: what go run has built is gone.
func TestAReplayOfGoRunIsGoRun(t *testing.T) {
	out, ok := outside(t, "go", "run", "./cmd/countersim", "sim", "counter.yaml")
	require.True(t, ok, "%s", out)
	require.Contains(t, out, "\nreplay   go run ./cmd/countersim sim counter.yaml --seed 1 --wire mocknet\n")
}
