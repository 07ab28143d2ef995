package transport_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
)

func TestThreeAnswers(t *testing.T) {
	dir := transport.NewStaticDirectory()
	require.Equal(t, transport.Nobody, transport.PresenceOf(dir, "tns"))
	dir.SetPartial(true)
	require.Equal(t, transport.Unknown, transport.PresenceOf(dir, "tns"))
	dir.Add(peerNamed("p"), "tns")
	require.Equal(t, transport.Somebody, transport.PresenceOf(dir, "tns"))
	peers, known := dir.Lookup("tns")
	require.Equal(t, []transport.Peer{peerNamed("p")}, peers)
	require.False(t, known, "there may be more")
	dir.SetPartial(false)
	_, known = dir.Lookup("tns")
	require.True(t, known)
}

func TestADirectoryTellsOfChanges(t *testing.T) {
	dir, told := transport.NewStaticDirectory(), 0
	stop := dir.Watch(func() { told++ })
	before := dir.Version()
	dir.Add(peerNamed("p"), "tns")
	dir.SetPartial(true)
	require.Equal(t, 2, told)
	require.Greater(t, dir.Version(), before)
	stop()
	dir.Add(peerNamed("q"), "tns")
	require.Equal(t, 2, told)
}

// A task waits for what a directory does not say yet, and for no longer than it may.
func TestATaskWaitsForADirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, loop := transport.NewStaticDirectory(), clock.NewLive()
		defer loop.Stop(time.Minute)
		dir.SetPartial(true)
		known := func() bool { _, known := dir.Lookup("tns"); return known }
		asked, ended := 0, time.Duration(0)
		began := time.Now()
		loop.Go("wait", func(ctx context.Context) {
			require.NoError(t, transport.AwaitDirectory(ctx, loop, dir, func() bool { asked++; return known() }))
			ended = time.Since(began)
			dir.SetPartial(true)
			ctx, cancel := clock.WithTimeout(ctx, loop, time.Second)
			defer cancel()
			require.Error(t, transport.AwaitDirectory(ctx, loop, dir, known))
		})
		time.Sleep(time.Second)
		synctest.Wait()
		dir.Add(peerNamed("p"), "tns") // not enough
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 2, asked)
		dir.SetPartial(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, 2*time.Second, ended)
	})
}
