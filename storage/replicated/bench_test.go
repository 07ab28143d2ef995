package replicated_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/storage/replicated"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/transporttest"
)

// window is how many puts may be on their way to the other replicas.
const window = 16

// benchStore writes on one replica and counts what arrives at the others.
type benchStore struct {
	// put writes a batch, as one turn, on the first replica.
	put func(keys []string)
	// seen returns how many keys have become visible at replica i > 0.
	seen func(i int) int64
	// arrived is sent to when that may have changed.
	arrived chan struct{}
}

// BenchmarkReplicatedPut counts puts that are visible on all replicas per second
// of CPU: ours over a network in memory and over libp2p on loopback, and
// go-ds-crdt as it is shipped, with gossipsub and bitswap, over the same libp2p.
func BenchmarkReplicatedPut(b *testing.B) {
	for _, kind := range []struct {
		name string
		open func(b *testing.B, replicas int) *benchStore
	}{
		{"ours/memory", openOurs(pipeHosts)},
		{"ours/libp2p", openOurs(libp2pHosts)},
		{"plain/libp2p", openPlain},
	} {
		for _, replicas := range []int{2, 5} {
			for _, batch := range []int{1, 100} {
				b.Run(fmt.Sprintf("%s/replicas=%d/batch=%d", kind.name, replicas, batch), func(b *testing.B) {
					benchPuts(b, kind.open(b, replicas), replicas, batch)
				})
			}
		}
	}
}

func benchPuts(b *testing.B, s *benchStore, replicas, batch int) {
	s.put([]string{"/first"})
	waitSeen(b, s, replicas, 1)
	b.ResetTimer()
	began := cpuTime()
	sent := int64(1)
	for i := 0; i < b.N; i++ {
		keys := make([]string, batch)
		for j := range keys {
			keys[j] = fmt.Sprintf("/jobs/%08d/%04d", i, j)
		}
		s.put(keys)
		sent += int64(batch)
		if i%window == window-1 {
			waitSeen(b, s, replicas, sent)
		}
	}
	waitSeen(b, s, replicas, sent)
	used := cpuTime() - began
	b.ReportMetric(float64(sent-1)/used.Seconds(), "puts/cpu-s")
}

func waitSeen(b *testing.B, s *benchStore, replicas int, n int64) {
	deadline := time.After(30 * time.Second)
	for i := 1; i < replicas; i++ {
		for s.seen(i) < n {
			select {
			case <-s.arrived:
			case <-deadline:
				b.Fatalf("replica %d has seen %d of %d", i, s.seen(i), n)
			}
		}
	}
}

// arrivals counts keys at each replica.
type arrivals struct {
	counts  []atomic.Int64
	arrived chan struct{}
}

func newArrivals(n int) *arrivals {
	return &arrivals{counts: make([]atomic.Int64, n), arrived: make(chan struct{}, 1)}
}

func (a *arrivals) add(i int) {
	a.counts[i].Add(1)
	select {
	case a.arrived <- struct{}{}:
	default:
	}
}

func (a *arrivals) seen(i int) int64 { return a.counts[i].Load() }

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var benchValue = make([]byte, 100)

func openOurs(hosts func(b *testing.B, ids []transport.Identity) []transport.Host) func(b *testing.B, replicas int) *benchStore {
	return func(b *testing.B, replicas int) *benchStore {
		ids := transporttest.Identities(replicas)
		dir := transport.NewStaticDirectory()
		for _, id := range ids {
			dir.Add(id.Peer(), "bench")
		}
		counts := newArrivals(replicas)
		var first *replicated.Store
		var loops []*clock.Live
		var engines []*transport.Engine
		for i, host := range hosts(b, ids) {
			loops = append(loops, clock.NewLive())
			engines = append(engines, transport.NewEngine(host, loops[i], dir))
			b.Cleanup(func() {
				require.NoError(b, engines[i].Close())
				loops[i].Stop(time.Second)
			})
		}
		for i, loop := range loops {
			require.NoError(b, clock.Do(context.Background(), loop, func(ctx context.Context) {
				r, err := replicated.Open(ctx, replicated.Config{
					Loop: loop, Endpoint: engines[i].Endpoint(loop), Disk: memdisk.New(),
					Rand: rand.New(rand.NewPCG(1, uint64(i))), Service: "bench", Namespace: "main",
				})
				require.NoError(b, err)
				r.Watch("", func(storage.Key) { counts.add(i) })
				if i == 0 {
					first = r
				}
			}))
		}
		put := func(keys []string) {
			require.NoError(b, clock.Do(context.Background(), loops[0], func(context.Context) {
				batch := new(storage.Batch)
				for _, k := range keys {
					batch.Put(storage.Key(k), benchValue)
				}
				require.NoError(b, first.Apply(batch))
			}))
		}
		return &benchStore{put: put, seen: counts.seen, arrived: counts.arrived}
	}
}

func pipeHosts(_ *testing.B, ids []transport.Identity) (hosts []transport.Host) {
	net := transporttest.NewPipeNet()
	for _, id := range ids {
		hosts = append(hosts, net.Host(id.Peer()))
	}
	return hosts
}

func libp2pHosts(b *testing.B, ids []transport.Identity) (hosts []transport.Host) {
	var all []*libp2p.Host
	for _, id := range ids {
		h, err := libp2p.New(id, []string{"/ip4/127.0.0.1/tcp/0"}, nil)
		require.NoError(b, err)
		for _, other := range all {
			for _, a := range other.Addrs() {
				require.NoError(b, h.Learn(a))
			}
			for _, a := range h.Addrs() {
				require.NoError(b, other.Learn(a))
			}
		}
		all = append(all, h)
		hosts = append(hosts, h)
	}
	return hosts
}
