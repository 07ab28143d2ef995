package libp2p_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport/libp2p"
)

// floodEnv makes the test binary a process of strangers.
const floodEnv = "TAU_TEST_FLOOD"

// crowd is what such a process does.
type crowd struct {
	Attack    string
	To        string
	Strangers int
	Addresses int // from how many addresses they come
}

func TestMain(m *testing.M) {
	if order := os.Getenv(floodEnv); order != "" {
		if err := crowdMain(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	_ = flag.Set("test.parallel", "4") // tests of conns wait more than they work
	os.Exit(m.Run())
}

// crowdMain says how often they have come when its input has ended.
func crowdMain(order string) error {
	var c crowd
	if err := json.Unmarshal([]byte(order), &c); err != nil {
		return err
	}
	f, err := newFlood(context.Background(), c.To)
	if err != nil {
		return err
	}
	var all []stranger
	for i := range c.Strangers {
		s, err := newStranger(net.IPv4(127, 1, byte(i%c.Addresses), 1))
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	fmt.Println("ready")
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	f.begin(all, floods[c.Attack])
	_, _ = io.Copy(io.Discard, in)
	fmt.Println(f.came.Load())
	os.Exit(0) // at once, with all connections
	return nil
}

// startCrowd returns when the strangers are there. begin lets them loose; end says how often they came, and what
// processor time that took.
func startCrowd(t testing.TB, c crowd) (begin func(), end func() (came int, used time.Duration)) {
	order, err := json.Marshal(c)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), floodEnv+"="+string(order))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	out := bufio.NewReader(pipe)
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return func() { _, _ = fmt.Fprintln(in) }, func() (came int, used time.Duration) {
		_ = in.Close()
		_, err := fmt.Fscan(out, &came)
		require.NoError(t, err)
		require.NoError(t, cmd.Wait())
		return came, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
}

// BenchmarkFlood is what a member gets from a node over a conn that is open, while 100 strangers in a process of their own
// flood the node as fast as they can, and what processors the node spends on them; loopback is not exempt from limits. They
// share the machine's processors with the node, so what attacking costs them (cpus-of-strangers) is in what the member gets, and
// not in the latter (cpus-for-strangers): of a processor of its own the node keeps the rest for members.
func BenchmarkFlood(b *testing.B) {
	for _, addresses := range []int{1, 100} {
		for _, name := range slices.Sorted(maps.Keys(floods)) {
			b.Run(fmt.Sprintf("%s/%d-addresses", name, addresses), func(b *testing.B) { benchmarkFlood(b, crowd{Attack: name, Strangers: 100, Addresses: addresses}) })
		}
	}
}

func benchmarkFlood(b *testing.B, c crowd) {
	server, _ := office(b, "server", libp2p.LimitLoopback())
	c.To = server.host.Addrs()[0]
	member := newCitizen(b, "member", tcp).with(cloudKey, nil)
	require.NoError(b, member.call(server, "t/monkey"))
	var letIn atomic.Int64
	server.host.LibP2P().Network().Notify(&network.NotifyBundle{ConnectedF: func(network.Network, network.Conn) { letIn.Add(1) }})
	var peace, flooded yield
	var came int
	var spent time.Duration
	const lasts = 4 * time.Second
	for b.Loop() {
		begin, end := startCrowd(b, c)
		peace.add(goodput(member, server, lasts/2))
		begin()
		flooded.add(goodput(member, server, lasts))
		n, used := end()
		came, spent = came+n, spent+used
		peace.add(goodput(member, server, lasts/2))
	}
	seconds := flooded.wall.Seconds()
	forStrangers := flooded.cpu.Seconds() - float64(flooded.calls)/peace.perProcessor()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(peace.perSecond(), "calls/s-in-peace")
	b.ReportMetric(flooded.perSecond()/peace.perSecond(), "of-that-in-a-flood")
	b.ReportMetric(forStrangers/seconds, "cpus-for-strangers")
	b.ReportMetric(spent.Seconds()/seconds, "cpus-of-strangers")
	b.ReportMetric(float64(came)/seconds, "come/s")
	b.ReportMetric(float64(letIn.Load())/seconds, "let-in/s")
}

// yield is how many calls were answered, and what that took.
type yield struct {
	calls     int64
	wall, cpu time.Duration
}

func (y *yield) add(z yield) {
	y.calls, y.wall, y.cpu = y.calls+z.calls, y.wall+z.wall, y.cpu+z.cpu
}

func (y yield) perSecond() float64    { return float64(y.calls) / y.wall.Seconds() }
func (y yield) perProcessor() float64 { return float64(y.calls) / y.cpu.Seconds() }

// processor is the time that this process has used.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// goodput is how many calls of 4 KiB are answered, of eight at a time.
func goodput(member, server *citizen, d time.Duration) (y yield) {
	var answered atomic.Int64
	var all sync.WaitGroup
	body, began, used := make([]byte, 4<<10), time.Now(), processor()
	for range 8 {
		all.Go(func() {
			member.do(func(ctx context.Context) {
				for time.Since(began) < d {
					if _, err := member.Call(ctx, server.Self(), "t/monkey", body); err == nil {
						answered.Add(1)
					}
				}
			})
		})
	}
	all.Wait()
	return yield{answered.Load(), time.Since(began), processor() - used}
}
