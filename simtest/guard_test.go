package simtest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/simtest"
)

// careless is a service that does, once a second, what services must not do.
type careless struct {
	env  node.Env
	sin  string
	keys map[string]int
	busy uint64
}

func (c *careless) Start(context.Context) error {
	c.env.Loop.Go("sin", func(ctx context.Context) {
		for clock.Sleep(ctx, c.env.Loop, time.Second) == nil {
			c.commit()
		}
	})
	return nil
}

func (c *careless) Stop(context.Context) error { return nil }

func (c *careless) commit() {
	switch c.sin {
	case "none":
		c.env.Observe("drawn", node.F("n", c.env.Rand.IntN(1000)))
	case "sleep":
		time.Sleep(50 * time.Millisecond) // sleep
	case "channel":
		<-make(chan int) // channel
	case "busy":
		for {
			c.busy++
		}
	case "rand":
		c.env.Observe("drawn", node.F("n", rand.IntN(1000))) // rand
	case "map":
		for key := range c.keys {
			c.env.Observe("looked", node.F("key", key)) // map
		}
	case "goroutine":
		go func() { time.Sleep(time.Hour) }() // goroutine
	}
}

type sinSettings struct {
	Sin string `yaml:"sin" range:"1..20"`
}

// lucky counts, so that there is something to expect.
type lucky struct{ check.Tally }

func (*lucky) Name() string { return "lucky" }

func (l *lucky) Poll(check.View) error {
	l.Evaluated()
	return nil
}

func carelessWords() scenario.Vocabulary {
	return scenario.Vocabulary{
		Services: []node.Spec{{
			Name: "careless", Settings: func() any { return &sinSettings{Sin: "none"} },
			New: func(env node.Env, settings any) (node.Service, error) {
				c := &careless{env: env, sin: settings.(*sinSettings).Sin, keys: map[string]int{}}
				for i := range 8 {
					c.keys[fmt.Sprint(i)] = i
				}
				return c, nil
			},
		}},
		Checks: []scenario.Check{{Name: "lucky", New: func() check.Checker { return new(lucky) }}},
	}
}

// sinEnv makes TestSin commit one.
const sinEnv = "SIMTEST_SIN"

// TestSin fails in its own way for each sin; TestGuardsNameTheRemedy looks at it.
func TestSin(t *testing.T) {
	sin := os.Getenv(sinEnv)
	if sin == "" {
		t.Skip("run by TestGuardsNameTheRemedy")
	}
	file := filepath.Join(t.TempDir(), "sin.yaml")
	text := fmt.Sprintf("duration: 5s\nnodes: [{name: a, count: 2, services: [careless], settings: {careless: {sin: %s}}}]\nexpect: {always: [lucky]}\n", sin)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	simtest.Stall(t, 2*time.Second)
	simtest.Run(t, carelessWords(), file)
}

// TestGuardsNameTheRemedy: what is done, where, and what to use instead.
func TestGuardsNameTheRemedy(t *testing.T) {
	for sin, want := range map[string][]string{
		"sleep":     {`stall in "sin" of careless on a-[12] at [0-9.]+s: it sleeps in real time: use clock.Sleep`, `\.commit \S+guard_test.go:LINE`},
		"channel":   {`stall in "sin" of careless on a-[12] at [0-9.]+s: it waits on a channel: use clock.Queue`, `\.commit \S+guard_test.go:LINE`},
		"busy":      {`stall in "sin" of careless on a-[12] at [0-9.]+s: no event for 2s of real time: it computes without an end: who waits must park`, `\.commit \S+guard_test.go:[0-9]+`},
		"rand":      {`two runs of seed 1 differ`, `math/rand's functions, crypto/rand: Env.Rand`, `first +\{.*"f":"drawn".*"src":"simtest/guard_test.go:LINE"`},
		"map":       {`two runs of seed 1 differ`, `a range over a map that sends, writes, draws or reports: sort the keys first`, `first +\{.*"f":"looked".*"src":"simtest/guard_test.go:LINE"`},
		"goroutine": {`goroutine in "\S+careless\S+commit" at [0-9.]+s: it starts a goroutine, which no turn waits for: use Env.Loop.Go`, `\.commit \S+guard_test.go:LINE`},
	} {
		t.Run(sin, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestSin$", "-test.v")
			cmd.Env = append(os.Environ(), sinEnv+"="+sin)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "%s", out)
			for _, text := range want {
				require.Regexp(t, strings.ReplaceAll(text, "LINE", lineWith(t, "// "+sin)), string(out))
			}
		})
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSin$", "-test.v")
	cmd.Env = append(os.Environ(), sinEnv+"=none")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// lineWith is the number of the line of this file that ends with a mark, "" if none
// does.
func lineWith(t *testing.T, mark string) string {
	raw, err := os.ReadFile("guard_test.go")
	require.NoError(t, err)
	for i, line := range strings.Split(string(raw), "\n") {
		if strings.HasSuffix(line, mark) {
			return strconv.Itoa(i + 1)
		}
	}
	return ""
}
