package up

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/dreamland"
)

// heading is that of these commands in the help of the program.
const heading = "A cloud on this machine (a universe):"

// Commands are all of this package.
func Commands() (list []func(dreamland.Tools) *cobra.Command) {
	for _, make := range []func(dreamland.Tools) *cobra.Command{
		Command, downCommand, cleanCommand, statusCommand, newProjectCommand, pushCommand, devCommand, buildsCommand, logsCommand, secretCommand, versionsCommand, rollbackCommand,
		killCommand, startCommand, pauseCommand, partitionCommand, healCommand, callCommand, failpointCommand, openCommand, doctorCommand, NodeCommand,
	} {
		list = append(list, func(tools dreamland.Tools) *cobra.Command {
			cmd := make(tools)
			cmd.GroupID = heading
			return cmd
		})
	}
	return list
}

// upFlags are those of dreamland up.
type upFlags struct {
	tools    dreamland.Tools
	wishes   wishes
	detach   bool
	detached bool // this process is the one that runs it
	shape    string
	schema   bool
	json     bool
}

// Command is dreamland up.
func Command(tools dreamland.Tools) *cobra.Command {
	f := &upFlags{tools: tools}
	cmd := &cobra.Command{
		Use: "up [NAME]", Args: cobra.MaximumNArgs(1), Short: "Run a whole cloud on this machine: a universe, with a Git forge to push to",
		Long: `Runs a universe: the nodes of a cloud of its own - each service once, and a second substrate, monkey and hoarder -, over real
libp2p on loopback, with real disks below $XDG_STATE_HOME/dreamland/NAME (~/.local/state). What it has is there when it runs again, also after
kill -9; with --ephemeral it is gone with the universe. Nothing listens on anything but loopback; the API asks for the token of a file
that only this user may read.

It runs until it is interrupted, or told by dreamland down: then its nodes end in order. A second interrupt ends it at once.
All nodes are in this process; with --processes each has one of its own.`,
		Example: `  dreamland up
  dreamland up shop --detach
  dreamland up large --shape nodes.yaml
  dreamland new project hello --template website && cd hello && git push dreamland main`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.schema {
				return printJSON(cmd.OutOrStdout(), nodesSchema())
			}
			name := defaultName
			if len(args) > 0 {
				name = args[0]
			}
			p, err := placeOf(name)
			if err == nil {
				err = f.checkPorts()
			}
			if err == nil {
				err = f.readShape(p)
			}
			if err != nil {
				return err
			}
			f.wishes.tie = tools.Tie
			if f.detach && !f.detached {
				return f.apart(cmd, p)
			}
			return f.run(cmd, p)
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.BoolVarP(&f.detach, "detach", "d", false, "return when it is ready, and let it run")
	set.BoolVar(&f.detached, "detached", false, "")
	_ = set.MarkHidden("detached")
	set.BoolVar(&f.json, "json", false, "print one JSON object once it is ready: {name, http, admin, git, nodes, ...}; without --detach, then one a line for whatever happens")
	set.BoolVar(&f.wishes.ephemeral, "ephemeral", false, "what it has is gone when it ends")
	set.BoolVar(&f.wishes.processes, "processes", false, "a process for each node")
	set.StringArrayVar(&f.wishes.nodes, "node", nil, "NAME=SERVICE,SERVICE: a node of a new universe, in place of the usual ones; again for each")
	set.StringVar(&f.shape, "shape", "", "FILE: the nodes of a new universe, in YAML; one that is there gets those that it has not")
	set.BoolVar(&f.schema, "shape-schema", false, "print the JSON Schema of such files, and nothing else")
	set.IntVar(&f.wishes.http, "http-port", 0, "where projects answer; it keeps the port")
	set.IntVar(&f.wishes.admin, "admin-port", 0, "where it is asked; it keeps the port")
	set.IntVar(&f.wishes.git, "git-port", 0, "where projects are pushed to; it keeps the port")
	return cmd
}

// checkPorts refuses what is no port, before anything of a new universe is made.
func (f *upFlags) checkPorts() error {
	taken := map[int]string{}
	for _, p := range []struct {
		flag string
		port int
	}{{"http-port", f.wishes.http}, {"admin-port", f.wishes.admin}, {"git-port", f.wishes.git}} {
		switch {
		case p.port == 0:
		case p.port < 0 || p.port > 65535:
			return fmt.Errorf("--%s %d: expected a port, 1 to 65535", p.flag, p.port)
		case taken[p.port] != "":
			return fmt.Errorf("--%s %d: that is --%s already", p.flag, p.port, taken[p.port])
		}
		taken[p.port] = p.flag
	}
	return nil
}

// readShape reads the file of nodes, if there is one.
func (f *upFlags) readShape(p place) (err error) {
	switch {
	case f.shape == "":
		return nil
	case len(f.wishes.nodes) > 0:
		return errors.New("--shape and --node say the same: leave one of them out")
	}
	if f.shape, err = filepath.Abs(f.shape); err == nil {
		f.wishes.shape, err = readNodes(f.shape)
	}
	if pl, broken := readPlan(p); err == nil && broken == nil && pl != nil && !pl.Ephemeral {
		err = pl.fit(p.name(), f.wishes.shape) // nothing of it is kept
	}
	return err
}

// fail says what went wrong, which is not the fault of the command line.
func fail(cmd *cobra.Command, tools dreamland.Tools, err error) error {
	var b bad
	if err == nil || errors.As(err, &b) {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "dreamland: %v\n", err)
	return tools.Failed
}

// run has the universe in this process.
func (f *upFlags) run(cmd *cobra.Command, p place) error {
	ctx, done := f.tools.Interruptible()
	defer done()
	v := newView(cmd.OutOrStdout(), f.json)
	f.wishes.told = v.hear
	began := time.Now()
	warn := func(io.Writer) {}
	if !f.detached {
		warn = lookAtBuilds(ctx, p)
	}
	u, err := open(p, f.wishes)
	if err != nil {
		return fail(cmd, f.tools, err)
	}
	err = u.ready(ctx)
	if err == nil {
		warn(cmd.ErrOrStderr())
		v.ready(u, time.Since(began))
		v.watch(ctx, u)
	}
	v.ending()
	interrupted := ctx.Err() != nil
	if closed := u.close(); err == nil || interrupted {
		err = closed
	}
	return fail(cmd, f.tools, err)
}

// readyWithin is how long a universe may take to be ready that runs apart.
const readyWithin = 2 * time.Minute

// apart starts a process that has the universe, and waits until that is ready.
func (f *upFlags) apart(cmd *cobra.Command, p place) error {
	if p.taken() {
		return fail(cmd, f.tools, runsAlready(p))
	}
	child, out, err := f.child(p)
	if err != nil {
		return fail(cmd, f.tools, err)
	}
	defer os.Remove(out)
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	ctx, done := f.tools.Interruptible()
	defer done()
	warn := lookAtBuilds(ctx, p)
	for end := time.Now().Add(readyWithin); ; {
		if r, up := p.running(); up && r.Ready && r.PID == child.Process.Pid {
			warn(cmd.ErrOrStderr())
			return f.tellReady(cmd, r)
		}
		select {
		case <-ended:
			said, _ := os.ReadFile(out)
			_, _ = cmd.ErrOrStderr().Write(said[max(0, len(said)-4096):])
			return f.tools.Failed
		case <-ctx.Done():
			_ = child.Process.Signal(syscall.SIGTERM)
			<-ended
			return f.tools.Interrupted
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fail(cmd, f.tools, fmt.Errorf("universe %s is not ready within %s: dreamland status -u %[1]s says what is not; its log: %s", p.name(), readyWithin, p.log()))
		}
	}
}

// child is a process like this one, in a session of its own.
func (f *upFlags) child(p place) (child *exec.Cmd, out string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	args := []string{"up", p.name(), "--detached"}
	for flag, on := range map[string]bool{"--ephemeral": f.wishes.ephemeral, "--processes": f.wishes.processes} {
		if on {
			args = append(args, flag)
		}
	}
	for _, n := range f.wishes.nodes {
		args = append(args, "--node", n)
	}
	if f.shape != "" {
		args = append(args, "--shape", f.shape)
	}
	for flag, port := range map[string]int{"--http-port": f.wishes.http, "--admin-port": f.wishes.admin, "--git-port": f.wishes.git} {
		if port != 0 {
			args = append(args, flag, strconv.Itoa(port))
		}
	}
	log, err := os.CreateTemp("", "dreamland-up-*.out")
	if err != nil {
		return nil, "", err
	}
	child = exec.Command(self, args...)
	child.Stdout, child.Stderr = log, log
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = child.Start()
	_ = log.Close()
	return child, log.Name(), err
}

func (f *upFlags) tellReady(cmd *cobra.Command, r Running) error {
	if f.json {
		return f.tools.JSON(cmd.OutOrStdout(), r)
	}
	tellReady(cmd.OutOrStdout(), r)
	return nil
}

// tellReady says where everything is.
func tellReady(out io.Writer, r Running) {
	fmt.Fprintf(out, "universe %s is ready: %d nodes\n", r.Name, len(r.Nodes))
	if r.HTTP != "" {
		fmt.Fprintf(out, "  http   %s\n", r.HTTP)
	}
	fmt.Fprintf(out, "  git    %s/PROJECT.git\n  admin  %s (token: %s; its page: dreamland open)\n", r.Git, r.Admin, r.Token)
}

// signalled is a context that ends with SIGTERM.
func signalled() (ctx context.Context, stop func()) {
	signal.Ignore(os.Interrupt)
	return signal.NotifyContext(context.Background(), syscall.SIGTERM)
}

func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
