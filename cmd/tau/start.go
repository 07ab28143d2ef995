package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/yamltree"
)

// exitLeft is the exit status of a node that was told to leave: what started it must not start it again by itself.
const exitLeft = 3

func startCommand() *cobra.Command {
	var w where
	cmd := &cobra.Command{
		Use: "start", Args: cobra.NoArgs,
		Short: "Run the node of a shape until it is told to stop",
		Long: `Runs the node until SIGTERM or SIGINT, after which it drains: within 30 s its services tell others that they end, and
sync. A second signal ends it at once, as a power cut would: what it had acknowledged is on its disk. SIGHUP reads the
configuration again: log-level and disk-reserve count at once, the rest at the next start.
After tau leave it ends with exit status 3.`,
		Example: "  tau start -s compute --root /tb",
	}
	w.flags(cmd)
	inJSON := cmd.Flags().Bool("log-json", false, "write the log as JSON, as it is where it is no terminal")
	failpoints := cmd.Flags().Bool("failpoints", false, "let GO_FAILPOINTS and the admin socket make the node fail on purpose: for tests")
	acceptEmpty := cmd.Flags().Bool("accept-empty-disk", false, "start without what the node had on its disk, which is lost")
	unsandboxed := cmd.Flags().Bool("allow-unsandboxed-builds", false, "where there is no sandbox, run what was pushed with the rights of the node: for those who trust all who push")
	rehearsal := cmd.Flags().String("rehearsal", "", "take part in a rehearsal, as the file says: dreamland live gives it")
	_ = cmd.Flags().MarkHidden("rehearsal")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return start(w, live.Config{Failpoints: *failpoints, AcceptEmptyDisk: *acceptEmpty, Unsandboxed: *unsandboxed}, *inJSON, *rehearsal)
	}
	return cmd
}

func start(w where, cfg live.Config, inJSON bool, rehearsal string) (err error) {
	saveMemory()
	paths := shape.PathsOf(w.root, w.shape)
	s, err := shape.Load(paths.Config)
	if err != nil {
		return err
	}
	if othersMayRead(paths.Config) {
		return fmt.Errorf("%s holds the node's key and others may read it: chmod 600 %s", paths.Config, paths.Config)
	}
	log := live.NewLog(os.Stderr, s.Level(), inJSON || !terminal(os.Stderr))
	if s.Unused() != "" {
		log.Warn("http-listen: this node runs no gateway, so nobody listens there")
	}
	if err := environment(log, cfg.Failpoints); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	reload, hangups := make(chan struct{}), make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			reload <- struct{}{}
		}
	}()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(exitFailed)
	}()
	if rehearsal != "" {
		if cfg.Rehearse, err = live.NewRehearse(rehearsal, func() { os.Exit(exitFailed) }); err != nil {
			return err
		}
	}
	cfg.Shape, cfg.Paths, cfg.Log, cfg.Release, cfg.Reload = s, paths, log, version(), reload
	cfg.Crash = func() { os.Exit(exitFailed) }
	cfg.Ready, cfg.Stopping = func() { notify("READY=1\nSTATUS=ready") }, func() { notify("STOPPING=1\nSTATUS=draining") }
	cfg.Reloading, cfg.Reloaded = notifyReloading, cfg.Ready
	err = live.Run(ctx, cfg)
	if errors.Is(err, live.ErrLeft) {
		log.Info("ended", slog.String("why", err.Error())) // with what has failed while it ended
		os.Exit(exitLeft)
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

// othersMayRead reports whether a file of secrets is there, and not for its user alone.
func othersMayRead(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o077 != 0
}

// environment looks at GO_FAILPOINTS, which counts where a flag allows it.
func environment(log *live.Log, allowed bool) error {
	set := fail.FromEnvironment()
	for _, name := range set {
		if !allowed {
			break
		}
		if known := live.PointNames(); !slices.Contains(known, name) {
			return fmt.Errorf("GO_FAILPOINTS: there is no failpoint %q: %s", name, yamltree.Suggest(name, known))
		}
	}
	if !allowed && len(set) > 0 {
		fail.IgnoreEnvironment()
		log.Warn("GO_FAILPOINTS is ignored: it counts for tau start --failpoints only", slog.Int("points", len(set)))
	}
	return nil
}

func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
