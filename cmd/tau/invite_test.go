package main

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/transport/membership"
)

// TestAnInvitationOutlivesTheAuthThatMadeIt: of three auths on processes of their own, the one that has made an invitation is killed before anybody
// has come by it. Exactly as many as it says come by the others; and a second one is killed, and nobody is let in by the one alone.
func TestAnInvitationOutlivesTheAuthThatMadeIt(t *testing.T) {
	t.Parallel()
	o := &operator{t, t.TempDir()}
	o.must("", "config", "generate", "-n", "cloud.example.com", "--protos", "auth,seer", "--p2p-port", "0", "-s", "one", "--name", "one")
	auths := map[string]*process{"one": o.start("one")}
	o.ready("one", 0)
	for _, name := range []string{"two", "three"} {
		o.must(o.must("", "invite", "-s", "one", "--services", "auth,seer"), "config", "generate", "--invite", "-", "--p2p-port", "0", "-s", name, "--name", name)
		auths[name] = o.start(name)
		o.ready(name, 1)
		o.must("", "certify", "-s", name, "--cloud-key", shape.PathsOf(o.root, "one").CloudKey)
	}
	for name := range auths {
		o.ready(name, 2)
	}
	invite := func(uses string) (text string) {
		o.within(time.Minute, "all three honour an invitation", func() bool {
			text = o.must("", "invite", "-s", "one", "--services", "monkey", "--uses", uses)
			ticket, err := membership.ParseTicket(text)
			require.NoError(t, err)
			return len(ticket.Contacts()) == 3
		})
		return text
	}
	forTwo, forOne := invite("2"), invite("1")
	kill := func(name string) {
		require.NoError(t, auths[name].cmd.Process.Kill())
		_ = auths[name].cmd.Wait()
	}
	kill("one")

	var ended atomic.Int32
	for i := range 4 {
		guest := fmt.Sprintf("guest-%d", i)
		o.must(forTwo, "config", "generate", "--invite", "-", "--p2p-port", "0", "-s", guest, "--name", guest)
		cmd := exec.CommandContext(t.Context(), "tau", "start", "-s", guest, "--root", o.root)
		var running sync.WaitGroup
		running.Go(func() {
			if out, _ := cmd.CombinedOutput(); strings.Contains(string(out), membership.ErrUsedUp.Error()) {
				ended.Add(1)
			}
		})
		t.Cleanup(running.Wait)
	}
	in := func(name string) bool {
		st, ok := ask[live.Status](o, "status", "-s", name)
		return ok && st.Ready
	}
	came := func() (n int) {
		for i := range 4 {
			if in(fmt.Sprintf("guest-%d", i)) {
				n++
			}
		}
		return n
	}
	o.within(2*time.Minute, "two come, and the two others are told that it is used up", func() bool {
		require.LessOrEqual(t, came(), 2)
		return ended.Load() == 2 && came() == 2
	})

	kill("two")
	o.must(forOne, "config", "generate", "--invite", "-", "--p2p-port", "0", "-s", "late", "--name", "late")
	o.start("late")
	time.Sleep(5 * time.Second)
	require.False(t, in("late"), "one of three lets nobody in")
	o.start("two")
	o.within(2*time.Minute, "two of three do", func() bool { return in("late") })
}
