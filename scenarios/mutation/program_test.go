package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/scenarios/mutation/mutant"
)

// program shows what each of its mutants does. It passes as it is, and is
// noticed with any of them.
const program = `package main

import "os"

func main() {
	if sum(2, 3) != 5 || !less(1, 2) || less(2, 2) || len(kept([]int{1, 2, 3}, 2)) != 2 {
		os.Exit(1)
	}
	count := 0
	for i := 0; i < 3; i++ {
		count += i
	}
	if count != 3 {
		os.Exit(1)
	}
}

func sum(a, b int) int { return a + b }

func less(a, b int) bool { return a < b }

func kept(list []int, n int) []int { return list[:n] }
`

// TestOneProgramIsAllMutants builds a program once, runs it without a mutant,
// sees what it reaches, and runs it with each.
func TestOneProgramIsAllMutants(t *testing.T) {
	_, all, text := made(t, strings.TrimPrefix(program, "package main\n"))
	ctx, dir := context.Background(), t.TempDir()
	require.NoError(t, write(filepath.Join(dir, "main.go"), append([]byte("package main"), text[len("package p"):]...)))
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "scenarios/mutation/tried/main.go"): filepath.Join(dir, "main.go")}})
	require.NoError(t, err)
	require.NoError(t, write(filepath.Join(dir, "overlay.json"), overlay))
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", filepath.Join(dir, "tried"), "./tried")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	reached := filepath.Join(dir, "reached")
	require.NoError(t, write(reached, make([]byte, len(all)+1)))
	tried := command{binary: filepath.Join(dir, "tried")}
	o, err := tried.run(ctx, limits{}, mutant.EnvReached+"="+reached)
	require.NoError(t, err)
	require.True(t, o.passed, o.why)
	bits, err := os.ReadFile(reached)
	require.NoError(t, err)
	noticed := 0
	for _, m := range all {
		o, err := tried.run(ctx, limits{cpu: 2 * time.Second, wall: time.Minute, memory: 1 << 30}, variable(mutant.EnvOn, int64(m.number)))
		require.NoError(t, err)
		if !o.passed {
			noticed++
			require.Equal(t, byte(1), bits[m.number], "noticed and not reached: %+v", m.identity)
		}
	}
	require.Greater(t, noticed, len(all)/2)
}

// TestWhatNeverEndsIsEnded: by its processor time, its memory, or the clock.
func TestWhatNeverEndsIsEnded(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	c := command{binary: self, args: []string{"-test.run", "TestHelper", "-test.timeout", "0"}}
	for _, how := range []string{"spin", "eat", "wait"} {
		o, err := c.run(context.Background(), limits{cpu: 2 * time.Second, wall: 5 * time.Second, memory: 512 << 20}, "MUTATION_HELPER="+how)
		require.NoError(t, err)
		require.False(t, o.passed, how)
		require.NotEmpty(t, o.why, how)
	}
}

// TestHelper is a program that does not end, when asked for.
func TestHelper(t *testing.T) {
	switch os.Getenv("MUTATION_HELPER") {
	case "spin":
		for n := 0; ; n++ {
			_ = n
		}
	case "eat":
		var all [][]byte
		for {
			all = append(all, make([]byte, 1<<24))
			for i := range all[len(all)-1] {
				all[len(all)-1][i] = 1
			}
		}
	case "wait":
		time.Sleep(time.Hour)
	}
}
