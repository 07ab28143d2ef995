package replicated_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/storage/replicated"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
)

// BenchmarkLongHistory is what 100,000 deltas of history cost, on live loops and
// libp2p over loopback TCP: a replica that lost its disk catches up, one opens
// again from its disk, and one finds a record of it damaged. Each says how long
// that takes and the longest turn meanwhile, and how many turns of the one that
// serves took over 50 ms. It is for -benchtime 1x.
func BenchmarkLongHistory(b *testing.B) {
	const deltas = 100_000
	for _, keys := range []int{1_000, deltas} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			for range b.N {
				longHistory(b, deltas, keys)
			}
		})
	}
}

func longHistory(b *testing.B, deltas, keys int) {
	ids := transporttest.Identities(2)
	dir := transport.NewStaticDirectory()
	for _, id := range ids {
		dir.Add(id.Peer(), "bench")
	}
	hosts := libp2pHosts(b, ids)
	source := openLong(b, hosts[0], dir, memdisk.New())
	defer source.close()
	for i := range deltas {
		source.do(func(context.Context) {
			require.NoError(b, storage.Put(source.r, storage.K("keys", fmt.Sprint(i%keys)), benchValue))
		})
		source.do(func(ctx context.Context) { require.NoError(b, clock.Sleep(ctx, source.loop, 0)) })
	}
	source.do(func(ctx context.Context) { require.NoError(b, source.r.Sync(ctx)) })
	b.ReportMetric(float64(diskBytes(b, source.disk))/1e6, "disk-MB")

	before := heap()
	long := source.loop.Turns().Long
	joiner := openLong(b, hosts[1], dir, memdisk.New())
	defer joiner.close()
	b.ReportMetric(float64(joiner.took.Milliseconds()), "catch-up-ms")
	b.ReportMetric(ms(joiner.loop.Turns().Longest), "catch-up-turn-ms")
	b.ReportMetric(float64(source.loop.Turns().Long-long), "serving-long-turns")
	b.ReportMetric((heap()-before)/1e6, "joiner-heap-MB")
	require.Equal(b, keys, joiner.r.Stats().Entries)
	joiner.do(func(ctx context.Context) { require.NoError(b, joiner.r.Sync(ctx)) })

	ids = transporttest.Identities(4)
	alone := transport.NewStaticDirectory()
	hosts = libp2pHosts(b, ids[2:])
	again := openLong(b, hosts[0], alone, joiner.disk.Clone())
	defer again.close()
	b.ReportMetric(float64(again.took.Milliseconds()), "reopen-ms")
	b.ReportMetric(ms(again.loop.Turns().Longest), "reopen-turn-ms")

	damaged := joiner.disk.Clone()
	damageOne(b, damaged)
	recovered := openLong(b, hosts[1], alone, damaged)
	defer recovered.close()
	require.Equal(b, keys, recovered.r.Stats().Entries)
	b.ReportMetric(float64(recovered.took.Milliseconds()), "recovery-ms")
	b.ReportMetric(ms(recovered.loop.Turns().Longest), "recovery-turn-ms")
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// longReplica is a replica on a live loop of its own.
type longReplica struct {
	b      *testing.B
	loop   *clock.Live
	engine *transport.Engine
	disk   *memdisk.Disk
	r      *replicated.Store
	took   time.Duration // to open
}

func openLong(b *testing.B, host transport.Host, dir transport.Directory, disk *memdisk.Disk) *longReplica {
	l := &longReplica{b: b, loop: clock.NewLive(), disk: disk}
	l.engine = transport.NewEngine(host, l.loop, dir)
	start := time.Now()
	l.do(func(ctx context.Context) {
		var err error
		l.r, err = replicated.Open(ctx, replicated.Config{
			Loop: l.loop, Endpoint: l.engine.Endpoint(l.loop), Disk: disk,
			Rand: rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano()))), Service: "bench", Namespace: "main",
		})
		require.NoError(b, err)
	})
	l.took = time.Since(start)
	return l
}

func (l *longReplica) do(f func(ctx context.Context)) {
	require.NoError(l.b, clock.Do(context.Background(), l.loop, f))
}

func (l *longReplica) close() {
	require.NoError(l.b, l.engine.Close())
	l.loop.Stop(time.Second)
}

func diskBytes(b *testing.B, disk *memdisk.Disk) (n int) {
	eachRecord(b, disk, func(key string, value []byte) { n += len(key) + len(value) })
	return n
}

func eachRecord(b *testing.B, disk *memdisk.Disk, f func(key string, value []byte)) {
	keys, err := diskKeysBelow(disk, "/kv")
	require.NoError(b, err)
	for _, k := range keys {
		raw, err := disk.Get(context.Background(), datastore.RawKey(k))
		require.NoError(b, err)
		f(k, raw)
	}
}

// damageOne flips the first record.
func damageOne(b *testing.B, disk *memdisk.Disk) {
	keys, err := diskKeysBelow(disk, "/kv")
	require.NoError(b, err)
	require.NoError(b, disk.Put(context.Background(), datastore.RawKey(keys[len(keys)-1]), []byte("damaged")))
}

func diskKeysBelow(disk *memdisk.Disk, prefix string) (keys []string, err error) {
	results, err := disk.Query(context.Background(), query.Query{Prefix: prefix, KeysOnly: true})
	if err != nil {
		return nil, err
	}
	entries, err := results.Rest()
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys, err
}
