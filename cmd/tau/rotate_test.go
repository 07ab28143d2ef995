package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
)

// TestTheCloudsKeyWasStolen: with --now the old key counts no more; members are strangers until they have renewed, which they do by
// themselves, and take each other for members again.
func TestTheCloudsKeyWasStolen(t *testing.T) {
	t.Parallel()
	o := &operator{t, t.TempDir()}
	o.must("", "config", "generate", "-n", "cloud.example.com", "--protos", "all", "--p2p-port", "0", "-s", "one", "--name", "one")
	o.start("one")
	ticket := o.must("", "invite", "-s", "one", "--services", "monkey")
	o.must(ticket, "config", "generate", "--invite", "-", "--p2p-port", "0", "-s", "two", "--name", "two")
	o.start("two")
	old := o.ready("two", 1).CloudKey
	o.ready("one", 1)
	fresh := filepath.Join(t.TempDir(), "new.key")
	o.must("", "rotate", "-s", "one", "--cloud-key", shape.PathsOf(o.root, "one").CloudKey, "--new-key", fresh, "--now", "--yes")
	o.within(3*time.Minute, "both go by the new key, and are members", func() bool {
		one, first := ask[live.Status](o, "status", "-s", "one")
		two, second := ask[live.Status](o, "status", "-s", "two")
		return first && second && one.Ready && two.Ready && one.CloudKey != old && two.CloudKey == one.CloudKey && one.Peers == 1 && two.Peers == 1
	})
	id := o.must("", "push", "../../scenarios/mutants", "--project", "site", "-s", "two", "--json")
	require.Contains(t, id, `"job"`, "and work together")
}
