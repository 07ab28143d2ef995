package live

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage/pebbledisk"
)

// starts measures how long a node takes to serve: the middle one of five starts on a disk that is there.
func (f *figuresOf) starts(o *operated) error {
	for _, name := range []string{"core-2", "monkey-1"} {
		var starts, serves []time.Duration
		for range 5 {
			if err := rest(o.ctx, f.after/10); err != nil { // others have noticed the last one
				return err
			}
			started, serving, err := o.node(name).restart()
			if err != nil {
				return err
			}
			starts, serves = append(starts, started), append(serves, serving)
		}
		slices.Sort(starts)
		slices.Sort(serves)
		kind, _, _ := strings.Cut(name, "-")
		f.add("start of a "+kind+" until its services have started", starts[2].Seconds(), "s", "0.65")
		f.add("start of a "+kind+" until all serve", serves[2].Seconds(), "s", "")
	}
	return o.settle()
}

// pushBranches is how many branches are pushed to in turn.
const pushBranches = 8

// pushed pushes websites, five a second, and measures what becomes of them.
func (f *figuresOf) pushed(o *operated) error {
	var mu sync.Mutex
	var wait sync.WaitGroup
	sent, acknowledged, errs := map[string]time.Time{}, []time.Duration{}, []error{}
	core := o.node("core-1")
	for i := range f.pushes {
		wait.Go(func() {
			tree := site(i)
			sum := sha256.Sum256(tree)
			req := taulive.PushRequest{Project: "site", Repository: "site", Branch: fmt.Sprintf("b-%d", i%pushBranches), Commit: hex.EncodeToString(sum[:20]), Tree: tree}
			var resp taulive.PushResponse
			began := time.Now()
			err := core.client.Ask(o.ctx, "push", req, nil, &resp)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			sent[resp.Job], acknowledged = began, append(acknowledged, time.Since(began))
		})
		if err := rest(o.ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	wait.Wait()
	if len(errs) > 0 {
		return fmt.Errorf("%d of %d pushes failed: %w", len(errs), f.pushes, errs[0])
	}
	f.quantiles("push to acknowledged", acknowledged, "25", "58")
	built, published := map[string]time.Duration{}, map[string]time.Duration{}
	err := o.node("core-1").until("all jobs are final", func() bool {
		for _, name := range []string{"monkey-1", "monkey-2"} {
			if o.node(name).facts(func(one taulive.Fact) {
				note(built, sent, "build-started", one)
				note(published, sent, "published", one)
			}) != nil {
				return false
			}
		}
		return len(published) == len(sent) || rest(o.ctx, 500*time.Millisecond) != nil
	})
	if err != nil {
		return fmt.Errorf("%d of %d pushes are published: %w", len(published), len(sent), err)
	}
	f.quantiles("push to build started", values(built), "53", "119")
	f.quantiles("push to published", values(published), "", "")
	return nil
}

// note takes the time of the first fact of a kind about each job.
func note(took map[string]time.Duration, sent map[string]time.Time, fact string, one taulive.Fact) {
	for _, field := range one.Fields {
		job, _ := field.Value.(string)
		began, ours := sent[job]
		if _, known := took[job]; one.Fact == fact && field.Name == "job" && ours && !known {
			took[job] = one.At.Sub(began)
		}
	}
}

func values(m map[string]time.Duration) (list []time.Duration) {
	for _, d := range m {
		list = append(list, d)
	}
	return list
}

func (f *figuresOf) quantiles(name string, took []time.Duration, p50, p99 string) {
	slices.Sort(took)
	f.add(name+", p50", float64(quantile(took, 50).Microseconds())/1000, "ms", p50)
	f.add(name+", p99", float64(quantile(took, 99).Microseconds())/1000, "ms", p99)
}

// site is a project of one website.
func site(i int) []byte {
	return patrickapi.Tree{Files: []patrickapi.File{
		{Path: "tau.yaml", Data: []byte("name: site\nwebsites: {site: {paths: [/]}}\n")},
		{Path: "websites/site/index.html", Data: fmt.Appendf(nil, "<h1>push %d</h1>", i)},
	}}.Encode()
}

// restarted kills and starts the monkeys again and again, and looks whether that leaves anything behind in a core.
func (f *figuresOf) restarted(o *operated) error {
	if f.restarts == 0 {
		f.leave("left behind by restarts of peers", "--restarts 0")
		return nil
	}
	descriptors, goroutines, err := held(o)
	if err != nil {
		return err
	}
	var wait sync.WaitGroup
	errs := [2]error{}
	for k, name := range []string{"monkey-1", "monkey-2"} {
		wait.Go(func() {
			for i := k; i < f.restarts && errs[k] == nil; i += 2 {
				_, _, errs[k] = o.node(name).restart()
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if err := o.settle(); err != nil {
		return err
	}
	if err := rest(o.ctx, f.after); err != nil {
		return err
	}
	descriptorsThen, goroutinesThen, err := held(o)
	if err != nil {
		return err
	}
	of := fmt.Sprintf(" of a core after %d restarts of peers", f.restarts)
	f.add("descriptors"+of, descriptorsThen, fmt.Sprintf("(%.0f before)", descriptors), "")
	f.add("goroutines"+of, goroutinesThen, fmt.Sprintf("(%.0f before)", goroutines), "")
	return nil
}

// held is what a core has open.
func held(o *operated) (descriptors, goroutines float64, err error) {
	core := o.node("core-1")
	goroutines, err = core.metric("go_goroutines", "")
	return float64(entries(core.pid(), "fd")), goroutines, err
}

// compacted measures what the jobs have left on the disk of a core.
func (f *figuresOf) compacted(o *operated) error {
	core := o.node("core-3")
	if err := core.stop(); err != nil {
		return err
	}
	disk, err := pebbledisk.Open(shape.PathsOf(o.root, core.name).Data, pebbledisk.Options{})
	if err != nil {
		return err
	}
	err = disk.Compact(o.ctx)
	used := disk.Stats()
	if closed := disk.Close(); err != nil || closed != nil {
		return fmt.Errorf("compact: %w, %w", err, closed)
	}
	f.add("disk of a core per job, after compaction", float64(used.Used-used.Log)/float64(f.pushes)/1000, "KB", "12-16")
	return core.start()
}
