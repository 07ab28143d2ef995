package fail_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/transport"
)

// pointOf finds one that the other tests have registered.
func pointOf(t *testing.T, name string) *fail.Point {
	for _, p := range fail.Points() {
		if p.Name() == name {
			return p
		}
	}
	require.Fail(t, "no such point", name)
	return nil
}

// TestWhatAHitDoes is what its rule says, told as a fact, and nothing where no rule applies.
func TestWhatAHitDoes(t *testing.T) {
	p := pointOf(t, "fail-test/point")
	enable := func(do fail.Do, delay time.Duration) func() {
		end, err := fail.Enable(fail.Rule{Point: p.Name(), Do: fail.Action{Do: do, Delay: delay}, Nodes: func(name string) bool { return name == "user" }})
		require.NoError(t, err)
		return end
	}
	nodetest.Run(t, func(c *nodetest.Cloud) {
		user, other := c.Caller("user", "a"), c.Caller("other", "a")
		hit := func(on *nodetest.Caller) (took time.Duration, err error) {
			on.Do(func(ctx context.Context) {
				began := on.Env.Loop.Elapsed()
				err = p.Hit(ctx, on.Env)
				took = on.Env.Loop.Elapsed() - began
			})
			return took, err
		}
		nothing := func(on *nodetest.Caller) {
			before := len(c.Facts("failpoint"))
			took, err := hit(on)
			require.NoError(t, err)
			require.Zero(t, took)
			require.Len(t, c.Facts("failpoint"), before)
		}
		nothing(user)
		for _, row := range []struct {
			do    fail.Do
			delay time.Duration
			check func(err error)
		}{
			{fail.Error, 0, func(err error) { require.Equal(t, transport.Internal, transport.KindOf(err)) }},
			{fail.Drop, 0, func(err error) { require.ErrorIs(t, err, fail.ErrDrop) }},
			{fail.Delay, 3 * time.Second, func(err error) { require.NoError(t, err) }},
		} {
			end := enable(row.do, row.delay)
			before := len(c.Facts("failpoint"))
			took, err := hit(user)
			row.check(err)
			require.Equal(t, row.delay, took)
			facts := c.Facts("failpoint")
			require.Len(t, facts, before+1)
			require.Equal(t, p.Name(), facts[before].Fields["point"])
			nothing(other)
			end()
			nothing(user)
		}
		end := enable(fail.Panic, 0)
		user.Do(func(ctx context.Context) {
			require.PanicsWithValue(t, "planted by failpoint "+p.Name(), func() { _ = p.Hit(ctx, user.Env) })
		})
		end()
		fail.ResetHits()
	})
}

// TestTheEnvironmentIsHeard: in a process that was told by it what to do at a point, that is done there and nowhere else, until
// somebody ignores it. Who passes is counted from when that is asked for.
func TestTheEnvironmentIsHeard(t *testing.T) {
	if os.Getenv("FAIL_TEST_CHILD") == "" {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestTheEnvironmentIsHeard$", "-test.v")
		cmd.Env = append(os.Environ(), "FAIL_TEST_CHILD=1", `GO_FAILPOINTS=fail-test/point=return("drop")`)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: TestTheEnvironmentIsHeard")
		return
	}
	p, other := pointOf(t, "fail-test/point"), pointOf(t, "fail-test/other")
	require.Equal(t, []string{p.Name()}, fail.FromEnvironment())
	nodetest.Run(t, func(c *nodetest.Cloud) {
		user := c.Caller("user", "a")
		hit := func(p *fail.Point) (err error) {
			user.Do(func(ctx context.Context) { err = p.Hit(ctx, user.Env) })
			return err
		}
		require.ErrorIs(t, hit(p), fail.ErrDrop)
		require.NoError(t, hit(other))
		require.Empty(t, fail.Passed(), "nobody has asked for it")
		for range 2 {
			fail.CountPassed()
			require.Empty(t, fail.Passed())
			require.ErrorIs(t, hit(p), fail.ErrDrop)
			require.NoError(t, hit(other))
			require.NoError(t, hit(other))
			require.Equal(t, map[string]int{p.Name(): 1, other.Name(): 2}, fail.Passed())
		}
		fail.IgnoreEnvironment()
		require.NoError(t, hit(p))
		require.Equal(t, 2, fail.Passed()[p.Name()])
	})
}
