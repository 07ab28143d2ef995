package blocks_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/blocks"
	"github.com/taucloud/tau/storage/internal/filedisk"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/transporttest"
)

// liveNode is a node with blocks on libp2p over loopback TCP and a disk in a file.
type liveNode struct {
	peer  transport.Peer
	host  *libp2p.Host
	loop  *clock.Live
	store *blocks.Store
}

// newNode starts node i of a cloud of nodesMax.
func newNode(t testing.TB, i int, disk storage.Disk) *liveNode {
	const nodesMax = 8
	dir := transport.NewStaticDirectory()
	ids := transporttest.Identities(nodesMax)
	for _, id := range ids {
		dir.Add(id.Peer(), "all")
	}
	host, err := libp2p.New(ids[i], []string{"/ip4/127.0.0.1/tcp/0"}, nil)
	require.NoError(t, err)
	loop := clock.NewLive()
	engine := transport.NewEngine(host, loop, dir)
	t.Cleanup(func() {
		require.NoError(t, engine.Close())
		loop.Stop(time.Second)
	})
	node := &liveNode{peer: ids[i].Peer(), host: host, loop: loop}
	endpoint := engine.Endpoint(loop)
	node.do(t, func(context.Context) error {
		node.store, err = blocks.Open(endpoint, disk)
		return err
	})
	return node
}

func (n *liveNode) do(t testing.TB, f func(ctx context.Context) error) {
	require.NoError(t, clock.Do(context.Background(), n.loop, func(ctx context.Context) { require.NoError(t, f(ctx)) }))
}

// noise is content that does not repeat.
func noise(size int64, seed uint64) io.Reader {
	var key [32]byte
	key[0] = byte(seed)
	return io.LimitReader(rand.NewChaCha8(key), size)
}

func (n *liveNode) add(t testing.TB, content io.Reader) (root storage.CID) {
	n.do(t, func(ctx context.Context) (err error) {
		root, err = n.store.AddReader(ctx, content, 1<<40)
		return err
	})
	return root
}

func (n *liveNode) read(t testing.TB, root storage.CID) int64 {
	c, err := n.store.Open(root)
	require.NoError(t, err)
	size, err := io.Copy(io.Discard, struct{ io.Reader }{c})
	require.NoError(t, err)
	require.NoError(t, c.Close())
	return size
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const benchSize = 64 << 20

// perCPU reports the bytes of b.N runs per second of this process's time on a
// processor, and per second.
func perCPU(b *testing.B, run func()) {
	b.SetBytes(benchSize)
	var cpu time.Duration
	for b.Loop() {
		start := cpuTime()
		run()
		cpu += cpuTime() - start
	}
	b.ReportMetric(float64(benchSize)*float64(b.N)/1e6/cpu.Seconds(), "MB/cpu-s")
}

// BenchmarkAdd stores 64 MiB.
func BenchmarkAdd(b *testing.B) {
	node := newNode(b, 0, filedisk.New(b))
	seed := uint64(0)
	perCPU(b, func() { seed++; node.add(b, noise(benchSize, seed)) })
}

// BenchmarkRead reads 64 MiB from the disk.
func BenchmarkRead(b *testing.B) {
	node := newNode(b, 0, filedisk.New(b))
	root := node.add(b, noise(benchSize, 1))
	perCPU(b, func() { require.EqualValues(b, benchSize, node.read(b, root)) })
}

// holderOf says to a process of this test which node it is.
const holderOf = "BLOCKS_TEST_HOLDER"

// TestHolderProcess is no test: it is a holder in a process of its own, until its
// input ends, so that a benchmark can tell what the receiver costs.
func TestHolderProcess(t *testing.T) {
	i, err := strconv.Atoi(os.Getenv(holderOf))
	if err != nil {
		t.Skip("for benchmarks")
	}
	node := newNode(t, i, filedisk.New(t))
	root := node.add(t, noise(benchSize, 1))
	fmt.Println("holder", root, node.host.Addrs()[0])
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// startHolder starts a process with node i and has a reader know it.
func startHolder(b *testing.B, i int, reader *liveNode) (root storage.CID, peer transport.Peer) {
	cmd := exec.Command(os.Args[0], "-test.run", "TestHolderProcess")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", holderOf, i))
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	var name, addr string
	_, err = fmt.Fscanln(out, new(string), &name, &addr)
	require.NoError(b, err)
	root, err = cid.Decode(name)
	require.NoError(b, err)
	require.NoError(b, reader.host.Learn(addr))
	return root, transporttest.Identities(i + 1)[i].Peer()
}

// BenchmarkFetch gets 64 MiB from one or several holders, which are processes of
// their own, to a disk in memory or in a file.
func BenchmarkFetch(b *testing.B) {
	for _, disk := range []string{"memory", "file"} {
		for _, holders := range []int{1, 3} {
			b.Run(fmt.Sprintf("disk=%s/holders=%d", disk, holders), func(b *testing.B) {
				on := storage.Disk(memdisk.New())
				if disk == "file" {
					on = filedisk.New(b)
				}
				benchFetch(b, newNode(b, 0, on), holders)
			})
		}
	}
}

func benchFetch(b *testing.B, reader *liveNode, holders int) {
	var root storage.CID
	var peers []transport.Peer
	for i := range holders {
		var peer transport.Peer
		root, peer = startHolder(b, i+1, reader)
		peers = append(peers, peer)
	}
	perCPU(b, func() {
		reader.do(b, func(ctx context.Context) error {
			if err := reader.store.Fetch(ctx, root, peers, 1<<40); err != nil {
				return err
			}
			if err := reader.store.Remove(root); err != nil {
				return err
			}
			return reader.store.Sync(ctx)
		})
	})
}
