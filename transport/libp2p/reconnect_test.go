package libp2p_test

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
)

// openFiles counts the process's descriptors, where the system tells.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

// TestReconnectsLeaveNothing: after 200 lost connections, over either transport,
// there are as many goroutines and descriptors as after 10. It runs alone: it
// counts those of the whole process.
func TestReconnectsLeaveNothing(t *testing.T) {
	for name, listen := range map[string]string{"tcp": tcp, "quic": quic, "ws": ws} {
		t.Run(name, func(t *testing.T) {
			b, err := libp2p.New(transport.NewIdentity([]byte("b")), []string{listen}, nil)
			require.NoError(t, err)
			defer func() { require.NoError(t, b.Close()) }()
			a, err := libp2p.New(transport.NewIdentity([]byte("a")), []string{listen}, b.Addrs())
			require.NoError(t, err)
			defer func() { require.NoError(t, a.Close()) }()
			ra, rb := newRecorder(a), newRecorder(b)
			reconnect := func(times int) {
				for range times {
					opened := make(chan transport.Conn, 1)
					a.Open(b.ID(), transport.Control, func(c transport.Conn, err error) {
						require.NoError(t, err)
						opened <- c
					})
					require.NoError(t, (<-opened).Send([]byte("hi")))
					<-rb.accepted
					<-rb.frames
					require.NoError(t, a.LibP2P().Network().ClosePeer(libp2p.PeerID(b.ID())))
					require.Error(t, <-ra.closed)
					require.Error(t, <-rb.closed)
				}
			}
			reconnect(10)
			goroutines, files := runtime.NumGoroutine(), openFiles()
			reconnect(200)
			flat := func() bool { return runtime.NumGoroutine() <= goroutines+10 && openFiles() <= files+5 }
			require.Eventually(t, flat, 30*time.Second, 20*time.Millisecond,
				"%d goroutines and %d files became %d and %d", goroutines, files, runtime.NumGoroutine(), openFiles())
		})
	}
}
