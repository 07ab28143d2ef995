package live

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/dreamland"
)

// Figure is one thing that was measured.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Trial is what the trial on which the node stands has measured, on another machine under load.
	Trial string `json:"trial,omitempty"`
	// Left says why it was not measured.
	Left string `json:"left-out,omitempty"`
}

// figuresOf is what a run of dreamland figures is asked for, and what has come of it.
type figuresOf struct {
	tools         dreamland.Tools
	tau, keep     string
	large, pushes int
	restarts      int
	rest, after   time.Duration
	writing       time.Duration // each way of it
	json          bool
	progress      io.Writer

	Processors int      `json:"processors"`
	Load       string   `json:"load"` // of the machine, before and after
	List       []Figure `json:"figures"`
}

// FiguresCommand is dreamland figures.
func FiguresCommand(tools dreamland.Tools) *cobra.Command {
	f := &figuresOf{tools: tools, writing: writeFor}
	cmd := &cobra.Command{
		Use: "figures", Args: cobra.NoArgs,
		Short: "Measure a cloud of real nodes: start, rest, pushes, writes, restarts",
		Long: `Sets up three cores and two monkeys as operators do, by commands of tau, and measures them: how long a node takes to serve, what
nodes at rest take of processor, memory and network, how long pushes take and what their jobs leave on the disk, how many writes
replicas and a disk acknowledge, and whether peers that are restarted again and again leave anything behind. Nothing lies between the
nodes. The last column is what a trial has measured before there was a node, on another machine under load.`,
		Example: "  dreamland figures\n  dreamland figures --large 0 --restarts 20 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.pushes < 2 || f.restarts < 0 || f.large < 0 || f.large > 200 || f.rest < time.Second {
				return fmt.Errorf("expected --pushes from 2, --restarts from 0, --large from 0 to 200, --rest from 1s")
			}
			f.progress = cmd.ErrOrStderr()
			return f.run(cmd.OutOrStdout())
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.IntVar(&f.pushes, "pushes", 300, "how many pushes, five a second")
	set.IntVar(&f.restarts, "restarts", 200, "how often peers are killed and started")
	set.IntVar(&f.large, "large", 50, "how many nodes the large cloud at rest has; up to 5: none")
	set.DurationVar(&f.rest, "rest", 30*time.Second, "how long nodes at rest are measured")
	set.DurationVar(&f.after, "settle", 30*time.Second, "how long nodes are left alone before that")
	set.StringVar(&f.tau, "tau", "", "the program of the nodes; default: tau beside this program, or one built of the source here")
	set.StringVar(&f.keep, "keep", "", "keep directories and logs of the nodes in this directory, which must not exist")
	set.BoolVar(&f.json, "json", false, "print one JSON object")
	return cmd
}

func (f *figuresOf) add(name string, value float64, unit, trial string) {
	f.List = append(f.List, Figure{Name: name, Value: value, Unit: unit, Trial: trial})
}

func (f *figuresOf) leave(name, why string) {
	f.List = append(f.List, Figure{Name: name, Left: why})
}

// round is a figure for people: three digits that count.
func round(x float64) string {
	switch {
	case x >= 100 || x == float64(int64(x)):
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 0.1:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3f", x)
}

func (f *figuresOf) run(out io.Writer) error {
	ctx, done := f.tools.Interruptible()
	defer done()
	dir, remove, err := f.directory()
	if err != nil {
		return err
	}
	defer remove()
	tau, err := FindTau(f.tau, dir)
	if err != nil {
		return err
	}
	f.Processors, f.Load = runtime.NumCPU(), load()
	cloud := &operated{ctx: ctx, tau: tau, root: filepath.Join(dir, "tb"), starter: newStarter()}
	defer cloud.close()
	if err := os.MkdirAll(cloud.root, 0o700); err != nil {
		return err
	}
	for _, stage := range []struct {
		name    string
		measure func(*operated) error
	}{
		{"a cloud of five at rest", f.small}, {"starts", f.starts}, {"pushes", f.pushed}, {"restarts", f.restarted}, {"disks", f.compacted},
		{"a large cloud at rest", f.grown},
	} {
		fmt.Fprintln(f.progress, "measuring "+stage.name)
		if err := stage.measure(cloud); err != nil {
			if ctx.Err() != nil {
				return f.tools.Interrupted
			}
			return err
		}
	}
	for _, n := range cloud.nodes { // they would compete with what follows
		n.kill()
	}
	fmt.Fprintln(f.progress, "measuring writes")
	if err := f.writes(dir); err != nil {
		return err
	}
	f.Load += ", " + load()
	if f.json {
		return f.tools.JSON(out, f)
	}
	f.write(out)
	return nil
}

func (f *figuresOf) directory() (dir string, remove func(), err error) {
	if f.keep == "" {
		return f.tools.TempDir("figures")
	}
	return f.keep, func() {}, os.Mkdir(f.keep, 0o700)
}

// load is what the machine has to do, over the last minute.
func load() string {
	raw, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(raw), " ")
	return one
}

// small sets up the cloud of five, and measures it at rest.
func (f *figuresOf) small(o *operated) error {
	if err := o.begin(); err != nil {
		return err
	}
	if err := o.join([]string{"core-2", "core-3"}, coreServices); err != nil {
		return err
	}
	if err := o.join([]string{"monkey-1", "monkey-2"}, "monkey"); err != nil {
		return err
	}
	return f.atRest(o, "")
}

// atRest measures nodes that have nothing to do.
func (f *figuresOf) atRest(o *operated, of string) error {
	if err := o.settle(); err != nil {
		return err
	}
	if err := rest(o.ctx, f.after); err != nil {
		return err
	}
	used, sent := map[string]time.Duration{}, map[string]float64{}
	for _, n := range o.nodes {
		used[n.name] = cpuTime(n.pid())
		bytes, err := n.metric("tau_transport_bytes_total", `direction="out"`)
		if err != nil {
			return err
		}
		sent[n.name] = bytes
	}
	began := time.Now()
	if err := rest(o.ctx, f.rest); err != nil {
		return err
	}
	passed, total := time.Since(began).Seconds(), 0.0
	for _, n := range o.nodes {
		used[n.name] = cpuTime(n.pid()) - used[n.name]
	}
	for _, n := range o.nodes {
		bytes, err := n.metric("tau_transport_bytes_total", `direction="out"`)
		if err != nil {
			return err
		}
		total += bytes - sent[n.name]
	}
	for _, kind := range []struct{ name, cpu, memory string }{{"core", "0.9", "35"}, {"monkey", "0.4", "33"}} {
		var cpu, memory, own []float64
		for _, n := range o.nodes {
			if strings.HasPrefix(n.name, kind.name) {
				cpu = append(cpu, 100*used[n.name].Seconds()/passed)
				memory = append(memory, float64(resident(n.pid()))/1e6)
				own = append(own, float64(ownMemory(n.pid()))/1e6)
			}
		}
		f.add("processor of a "+kind.name+" at rest"+of, mean(cpu), "%", kind.cpu)
		f.add("memory of a "+kind.name+" at rest"+of, mean(memory), "MB", kind.memory)
		f.add("memory of a "+kind.name+" at rest"+of+", without the program itself", mean(own), "MB", "")
	}
	f.add(fmt.Sprintf("sent at rest by all of %d nodes", len(o.nodes)), total/passed, "B/s", "")
	f.add(fmt.Sprintf("sent at rest by one of %d nodes", len(o.nodes)), total/passed/float64(len(o.nodes)), "B/s", "")
	return nil
}

// rest waits.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func mean(list []float64) (sum float64) {
	for _, x := range list {
		sum += x / float64(len(list))
	}
	return sum
}

// memoryOfNode is what is reckoned for a node of the large cloud, in bytes.
const memoryOfNode = 80 << 20

// grown adds monkeys, until the cloud is large, and measures it at rest.
func (f *figuresOf) grown(o *operated) error {
	more := f.large - len(o.nodes)
	const name = "a large cloud at rest"
	if free := available(); more > 0 && free < int64(more)*memoryOfNode {
		f.leave(name, fmt.Sprintf("this machine has %d MiB left, and they take %d", free>>20, int64(more)*memoryOfNode>>20))
		return nil
	}
	if more <= 0 {
		f.leave(name, fmt.Sprintf("--large %d", f.large))
		return nil
	}
	var names []string
	for i := range more {
		names = append(names, fmt.Sprintf("monkey-%d", 3+i))
	}
	if err := o.settle(); err != nil {
		return err
	}
	if err := o.join(names, "monkey"); err != nil {
		return err
	}
	return f.atRest(o, fmt.Sprintf(", one of %d", f.large))
}

// available is how much memory the machine has left.
func available() int64 {
	raw, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(raw)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

// writes measures replicas and disks by themselves.
func (f *figuresOf) writes(dir string) error {
	p, err := openPair(dir, f.writing)
	if err != nil {
		return err
	}
	measure := func(name, unit, trial string, what func() (float64, error)) {
		var x float64
		if err == nil {
			x, err = what()
		}
		if err == nil {
			f.add(name, x, unit, trial)
		}
	}
	measure("replicated writes, single", "/s", "2600-2900", func() (float64, error) { return p.replicatedWrites(1) })
	measure(fmt.Sprintf("replicated writes, %d in a turn", batchLen), "/s", "5950", func() (float64, error) { return p.replicatedWrites(batchLen) })
	measure("durable on two disks, one after the other", "/s", "99", func() (float64, error) { return p.durableWrites(1) })
	measure(fmt.Sprintf("durable on two disks, %d at a time", togetherMax), "/s", "", func() (float64, error) { return p.durableWrites(togetherMax) })
	if closed := p.close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	one, _, err := groupCommit(dir, 1, f.writing)
	if err != nil {
		return err
	}
	f.add("durable on one disk, one after the other", one, "/s", "")
	many, perSync, err := groupCommit(dir, togetherMax, f.writing)
	f.add(fmt.Sprintf("durable on one disk, %d at a time", togetherMax), many, "/s", "")
	f.add(fmt.Sprintf("acknowledged by one sync, %d at a time", togetherMax), perSync, "writes", "")
	return err
}

// write prints the table.
func (f *figuresOf) write(out io.Writer) {
	fmt.Fprintf(out, "%d processors, load %s\n\n", f.Processors, f.Load)
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "figure\tmeasured\ttrial\n")
	for _, one := range f.List {
		if one.Left != "" {
			fmt.Fprintf(t, "%s\tleft out: %s\t\n", one.Name, one.Left)
			continue
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\n", one.Name, round(one.Value), one.Unit, one.Trial)
	}
	_ = t.Flush()
}
