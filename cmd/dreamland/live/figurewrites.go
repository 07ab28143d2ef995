package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ipfs/go-datastore"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/pebbledisk"
	"github.com/taucloud/tau/storage/replicated"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
)

const (
	// writeFor is how long each way of writing is measured.
	writeFor = 3 * time.Second
	// batchLen is how many entries are written in one turn where writes are batched, togetherMax how many writers wait for the
	// disk at a time.
	batchLen    = 100
	togetherMax = 64
	// valueLen is the length of what is written, like that of a record of a job.
	valueLen = 300
	// aheadMax is how many writes may be on their way to the other replica.
	aheadMax = 16
)

// pair is two replicas on disks of their own, in this process, over libp2p on loopback.
type pair struct {
	loops   [2]*clock.Live
	stores  [2]storage.Replicated
	closes  []func() error
	seen    atomic.Int64 // entries that have come to the second
	news    chan struct{}
	count   int
	writing time.Duration
}

func openPair(dir string, writing time.Duration) (p *pair, err error) {
	p = &pair{writing: writing, news: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	directory := transport.NewStaticDirectory()
	var hosts [2]*libp2p.Host
	for i := range hosts {
		identity := transport.NewIdentity(fmt.Appendf(nil, "figures %d", i))
		directory.Add(identity.Peer(), "figures")
		if hosts[i], err = libp2p.New(identity, []string{"/ip4/127.0.0.1/tcp/0"}, nil); err != nil {
			return nil, err
		}
	}
	for i, h := range hosts {
		for _, a := range hosts[1-i].Addrs() {
			if err := h.Learn(a); err != nil {
				return nil, err
			}
		}
	}
	for i, h := range hosts {
		disk, err := pebbledisk.Open(filepath.Join(dir, fmt.Sprint("writes-", i)), pebbledisk.Options{})
		if err != nil {
			return nil, err
		}
		loop := clock.NewNamedLive("figures", nil)
		engine := transport.NewEngine(h, loop, directory)
		p.loops[i] = loop
		p.closes = append(p.closes, func() error {
			err := engine.Close()
			if !loop.Stop(localStop) {
				err = errors.Join(err, errors.New("a task does not end"))
			}
			return errors.Join(err, disk.Close())
		})
		opened := clock.Do(context.Background(), loop, func(ctx context.Context) {
			r, failed := replicated.Open(ctx, replicated.Config{
				Loop: loop, Endpoint: engine.Endpoint(loop), Disk: disk, Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
				Service: "figures", Namespace: "main",
			})
			if err = failed; err == nil {
				p.stores[i] = r
			}
		})
		if err = errors.Join(err, opened); err != nil {
			return nil, err
		}
	}
	err = clock.Do(context.Background(), p.loops[1], func(context.Context) {
		p.stores[1].Watch("", func(storage.Key) {
			p.seen.Add(1)
			select {
			case p.news <- struct{}{}:
			default:
			}
		})
	})
	return p, err
}

func (p *pair) close() (err error) {
	for _, c := range p.closes {
		err = errors.Join(err, c())
	}
	return err
}

// write writes so many new entries in one turn.
func (p *pair) write(n int) error {
	batch := new(storage.Batch)
	for range n {
		p.count++
		batch.Put(storage.Key(fmt.Sprintf("/jobs/%09d", p.count)), make([]byte, valueLen))
	}
	var err error
	entered := clock.Do(context.Background(), p.loops[0], func(context.Context) { err = p.stores[0].Apply(batch) })
	return errors.Join(err, entered)
}

// replicatedWrites is how many entries a second become visible on the other replica.
func (p *pair) replicatedWrites(batch int) (float64, error) {
	began, before := time.Now(), p.count
	for time.Since(began) < p.writing {
		if err := p.write(batch); err != nil {
			return 0, err
		}
		if err := p.await(p.count - aheadMax*batch); err != nil {
			return 0, err
		}
	}
	err := p.await(p.count)
	return float64(p.count-before) / time.Since(began).Seconds(), err
}

// await waits until the other replica has seen so many.
func (p *pair) await(n int) error {
	for timeout := time.After(readyWithin); p.seen.Load() < int64(n); {
		select {
		case <-p.news:
		case <-timeout:
			return fmt.Errorf("the other replica has %d of %d entries", p.seen.Load(), n)
		}
	}
	return nil
}

// durableWrites is how many writes a second are durable on both disks, by writers each of which waits for that.
func (p *pair) durableWrites(writers int) (float64, error) {
	var done atomic.Int64
	var wait sync.WaitGroup
	errs := make([]error, writers)
	began := time.Now()
	for w := range writers {
		wait.Go(func() {
			errs[w] = clock.Do(context.Background(), p.loops[0], func(ctx context.Context) {
				for i := 0; time.Since(began) < p.writing; i++ {
					batch := new(storage.Batch)
					batch.Put(storage.Key(fmt.Sprintf("/durable/%d/%03d/%09d", writers, w, i)), make([]byte, valueLen))
					if errs[w] = p.stores[0].Apply(batch); errs[w] != nil {
						return
					}
					copies, err := p.stores[0].Replicate(ctx, 2)
					if errs[w] = err; err == nil && copies < 2 {
						errs[w] = errors.New("the other replica does not answer")
					}
					if errs[w] != nil {
						return
					}
					done.Add(1)
				}
			})
		})
	}
	wait.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), errors.Join(errs...)
}

// countedSyncs counts the syncs of a disk.
type countedSyncs struct {
	vfs.FS
	syncs *atomic.Int64
}

// Create implements vfs.FS.
func (c countedSyncs) Create(name string, w vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.Create(name, w)
	return countedFile{f, c.syncs}, err
}

// ReuseForWrite implements vfs.FS.
func (c countedSyncs) ReuseForWrite(old, name string, w vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.ReuseForWrite(old, name, w)
	return countedFile{f, c.syncs}, err
}

type countedFile struct {
	vfs.File
	syncs *atomic.Int64
}

// Sync implements vfs.File.
func (f countedFile) Sync() error { f.syncs.Add(1); return f.File.Sync() }

// SyncData implements vfs.File.
func (f countedFile) SyncData() error { f.syncs.Add(1); return f.File.SyncData() }

// groupCommit is how many writes a second one disk acknowledges to so many writers, each of which waits until its own is durable,
// and how many come to one sync.
func groupCommit(dir string, writers int, writing time.Duration) (perSecond, perSync float64, err error) {
	var syncs, done atomic.Int64
	disk, err := pebbledisk.Open(filepath.Join(dir, fmt.Sprint("commits-", writers)), pebbledisk.Options{FS: countedSyncs{vfs.Default, &syncs}})
	if err != nil {
		return 0, 0, err
	}
	began, before := time.Now(), syncs.Load()
	var wait sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		wait.Go(func() {
			for i := 0; errs[w] == nil && time.Since(began) < writing; i++ {
				errs[w] = disk.Put(context.Background(), datastore.NewKey(fmt.Sprintf("/jobs/%03d/%09d", w, i)), make([]byte, valueLen))
				durable := make(chan error, 1)
				disk.Flush(func(err error) { durable <- err })
				errs[w] = errors.Join(errs[w], <-durable)
				done.Add(1)
			}
		})
	}
	wait.Wait()
	n := float64(done.Load())
	perSecond, perSync = n/time.Since(began).Seconds(), n/float64(max(1, syncs.Load()-before))
	return perSecond, perSync, errors.Join(append(errs, disk.Close())...)
}
