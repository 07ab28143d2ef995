package scenarios

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// workerEnv names, in the process that runs one subtest, that test.
const workerEnv = "SCENARIOS_WORKER"

// workersStory is the story that this process runs as a worker, by which its test is named; "" if it is none.
func workersStory() string {
	_, story, _ := strings.Cut(os.Getenv(workerEnv), "/")
	return story
}

// inWorker reports whether this process is the one that runs the subtest t. If
// not, it runs t in a process of its own, beside others: worlds share the
// failpoints of a process and use one core each. What failpoints acted there
// is added to used.
func inWorker(t *testing.T, used *hits) bool {
	if os.Getenv(workerEnv) != "" {
		return true
	}
	t.Parallel()
	c := exec.Command(os.Args[0], "-test.v", "-test.timeout=20m", "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	c.Env = append(os.Environ(), workerEnv+"="+t.Name())
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name()+" ", "the worker ran it")
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(line, hitsPrefix); ok {
			var found map[string]int
			require.NoError(t, json.Unmarshal([]byte(text), &found))
			used.add(found)
		}
	}
	return false
}

// hitsPrefix begins the line in which a worker says what failpoints acted.
const hitsPrefix = "failpoints that acted: "

// hits counts how often each failpoint acted, over several runs.
type hits struct {
	mu sync.Mutex
	n  map[string]int
}

func newHits() *hits { return &hits{n: map[string]int{}} }

func (h *hits) add(found map[string]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, n := range found {
		h.n[name] += n
	}
}

func (h *hits) of(name string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.n[name]
}

// print tells the process that waits for this one.
func (h *hits) print() {
	line, err := json.Marshal(h.n)
	if err != nil {
		panic(err) // a map of numbers
	}
	fmt.Println(hitsPrefix + string(line))
}
