package live

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/report"
)

// idleFor is how long nodes that have nothing to do are measured.
const idleFor = 10 * time.Second

// meter measures what operators ask for: how long pushes take, and what processes cost.
type meter struct {
	sent      map[string]time.Duration // by job
	spans     map[string]*span
	processes []cost
}

// span is how long it took from pushes to something, of all jobs.
type span struct {
	seen map[string]bool
	took []time.Duration
}

// cost is what a process takes at rest.
type cost struct {
	name               string
	cpu                float64 // of a processor, in per cent
	memory             int64   // resident, in bytes
	descriptors, tasks int
}

// the moments of a job, by the fact that tells of them.
var moments = map[string]string{"push-acknowledged": "acknowledged", "build-started": "build started", "published": "published"}

func newMeter() *meter {
	m := &meter{sent: map[string]time.Duration{}, spans: map[string]*span{}}
	for _, name := range moments {
		m.spans[name] = &span{seen: map[string]bool{}}
	}
	return m
}

// hear takes the time of jobs: of what happens first.
func (m *meter) hear(f check.Fact) {
	job := f.Text("job")
	if f.Name == "push-sent" {
		m.sent[job] = f.At
	}
	at, sent := m.sent[job]
	s := m.spans[moments[f.Name]]
	if !sent || s == nil || s.seen[job] {
		return
	}
	s.seen[job] = true
	s.took = append(s.took, f.At-at)
}

// settled measures processes that are at rest.
func (m *meter) settled(w *World, r *report.Result) {
	before := map[string]time.Duration{}
	for _, n := range w.nodes {
		if n.proc != nil {
			before[n.name] = cpuTime(n.proc.cmd.Process.Pid)
		}
	}
	began := time.Now()
	time.Sleep(idleFor)
	for _, n := range w.nodes {
		if n.proc == nil {
			continue
		}
		pid := n.proc.cmd.Process.Pid
		m.processes = append(m.processes, cost{
			name: n.name, cpu: 100 * float64(cpuTime(pid)-before[n.name]) / float64(time.Since(began)), memory: resident(pid),
			descriptors: entries(pid, "fd"), tasks: entries(pid, "task"),
		})
	}
	for name, s := range m.spans {
		slices.Sort(s.took)
		key := strings.ReplaceAll(name, " ", "-")
		if len(s.took) > 0 {
			r.Figures["push-to-"+key+".p50"], r.Figures["push-to-"+key+".p99"] = quantile(s.took, 50).Seconds(), quantile(s.took, 99).Seconds()
		}
	}
	if jobs := r.Figures["jobs.acknowledged"]; jobs > 0 {
		r.Figures["disk.bytes.per-job-and-replica"] = r.Figures["disk.bytes"] / jobs / 3
	}
}

func quantile(sorted []time.Duration, per int) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*per/100)]
}

// write prints the figures for people.
func (m *meter) write(out io.Writer, r *report.Result) {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "acknowledged\t%d\n", len(m.spans["acknowledged"].took))
	for _, name := range []string{"acknowledged", "build started", "published"} {
		if took := m.spans[name].took; len(took) > 0 {
			fmt.Fprintf(t, "push to %s\tp50 %s\tp99 %s\n", name, quantile(took, 50).Round(time.Millisecond), quantile(took, 99).Round(time.Millisecond))
		}
	}
	fmt.Fprintf(t, "disk per job and core\t%.1f KB\n", r.Figures["disk.bytes.per-job-and-replica"]/1e3)
	fmt.Fprintf(t, "at rest\tprocessor\tmemory\tdescriptors\tthreads\n")
	for _, c := range m.processes {
		fmt.Fprintf(t, "%s\t%.1f %%\t%.0f MB\t%d\t%d\n", c.name, c.cpu, float64(c.memory)/1e6, c.descriptors, c.tasks)
	}
	_ = t.Flush()
}

// ticksPerSecond is in what Linux counts the time of processes.
const ticksPerSecond = 100

// cpuTime is what a process has used of processors, 0 where nobody tells.
func cpuTime(pid int) time.Duration {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	_, rest, found := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	if err != nil || !found || len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond
}

// resident is how much memory a process has, in bytes.
func resident(pid int) int64 {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	fields := strings.Fields(string(raw))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// ownMemory is resident without what of files is mapped, which is the program: all nodes of a machine share that.
func ownMemory(pid int) int64 {
	raw, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	for line := range strings.Lines(string(raw)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

func entries(pid int, of string) int {
	list, _ := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), of))
	return len(list)
}
