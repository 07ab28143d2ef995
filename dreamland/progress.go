package dreamland

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/taucloud/tau/sim/report"
)

// progress keeps one line on a terminal up to date. On anything else, and if
// quiet, it does nothing.
type progress struct {
	out          io.Writer // nil for silence
	columns      func() int
	runs         int
	made, failed int
}

// progressInterval is real time.
const progressInterval = 200 * time.Millisecond

func newProgress(out io.Writer, quiet bool) *progress {
	p := &progress{}
	if f, ok := out.(*os.File); ok && !quiet {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.out = out
			p.columns = func() int { n, _ := windowColumns(f); return n }
		}
	}
	return p
}

// watch shows how far a run of a duration is that tells report so, until stop is
// called. report is nil if nobody looks.
func (p *progress) watch(duration time.Duration) (report func(time.Duration, uint64), stop func()) {
	if p.out == nil {
		return nil, func() {}
	}
	var virtual, events atomic.Uint64
	report = func(v time.Duration, n uint64) {
		virtual.Store(uint64(v))
		events.Store(n)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	began := time.Now()
	go func() {
		defer close(ended)
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			v, n := time.Duration(virtual.Load()), events.Load()
			p.show("%s of %s virtual time, %d events, %.0f events/s", v.Round(time.Second), duration, n, float64(n)/time.Since(began).Seconds())
		}
	}()
	return report, func() {
		close(done)
		<-ended
		p.clear()
	}
}

// start begins a number of runs.
func (p *progress) start(runs int) {
	p.runs = runs
	p.show("0 of %d runs", runs)
}

// done counts one run.
func (p *progress) done(r report.Result) {
	p.made++
	if r.Verdict != report.Held {
		p.failed++
	}
	p.show("%d of %d runs, %d failed", p.made, p.runs, p.failed)
}

func (p *progress) show(format string, args ...any) {
	if p.out == nil {
		return
	}
	line := []rune(fmt.Sprintf(format, args...))
	if n := p.columns(); n > 0 { // a second line could not be taken back
		line = line[:min(len(line), n-1)]
	}
	fmt.Fprint(p.out, "\r\033[K"+string(line))
}

func (p *progress) clear() {
	if p.out != nil {
		fmt.Fprint(p.out, "\r\033[K")
	}
}
