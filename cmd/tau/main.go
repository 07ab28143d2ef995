// Command tau is the tool of operators: it configures and runs a node of a cloud, and asks one that runs.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/projects"
	"github.com/taucloud/tau/cmd/tau/source/gogit"
	"github.com/taucloud/tau/cmd/tau/toolchains/esbuild"
	"github.com/taucloud/tau/cmdline"
	"github.com/taucloud/tau/yamltree"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // it was not done, or the node is not ready
	exitBad    = 2 // bad input: a flag, an argument, a configuration
)

func main() {
	gogit.Main()
	esbuild.Main()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// failure is an error that is not the input's fault; what is told already has no text.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// errNotReady and errTold were told by what was printed.
var errNotReady, errTold = errors.New(""), errors.New("")

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	out := cmdline.NewOutput(stdout)
	root.SetOut(out)
	root.SetErr(stderr)
	cmdline.PlainMistakes(root)
	err := cmdline.UnknownCommand(root, args)
	if err == nil {
		err = root.Execute()
	}
	if lost := out.Err(); lost != nil {
		err = failure{fmt.Errorf("the output is incomplete: %w", lost)}
	}
	var bad yamltree.Errors
	var failed failure
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &bad): // begins with file:line:col, which editors know
		fmt.Fprintln(stderr, err)
	case err.Error() != "":
		fmt.Fprintf(stderr, "tau: %s\n", live.Plainly(err))
	}
	if errors.As(err, &failed) {
		return exitFailed
	}
	return exitBad
}

// where is the node that a command is about.
type where struct {
	root, shape string
	wait        time.Duration // for a node that is starting
	node        string        // another member that is asked, "" for the node of the shape
}

// reading are the flags of a command that reads, of the node or, by its certificate, of another one.
func (w *where) reading(cmd *cobra.Command, wait time.Duration) {
	w.asking(cmd, wait)
	cmd.Flags().StringVar(&w.node, "node", "", "ask another member, by this node's certificate: a name, a peer, or an address with /p2p/")
}

// asking are the flags of a command that asks the node.
func (w *where) asking(cmd *cobra.Command, wait time.Duration) {
	w.flags(cmd)
	cmd.Flags().DurationVar(&w.wait, "wait", wait, "how long to wait for a node that is starting")
}

func (w *where) flags(cmd *cobra.Command) {
	w.shape = "main"
	cmd.Flags().VarP(&shapeFlag{&w.shape}, "shape", "s", "the shape: one node's configuration below the root")
	cmd.Flags().StringVar(&w.root, "root", "/tb", "the directory of configurations, keys and data")
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if known := aliases[name]; known != "" {
			name = known
		}
		return pflag.NormalizedName(name)
	})
}

// shapeFlag is the name of a shape, which is part of names of files.
type shapeFlag struct{ name *string }

var shapeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$`)

func (f *shapeFlag) String() string { return *f.name }
func (f *shapeFlag) Type() string   { return "name" }
func (f *shapeFlag) Set(text string) error {
	if !shapeName.MatchString(text) {
		return errors.New("expected up to 32 letters, digits, - and _")
	}
	*f.name = text
	return nil
}

// aliases are the other names that operators know.
var aliases = map[string]string{
	"fqdn": "network", "protos": "services", "protocols": "services", "port": "p2p-port", "announce": "ip", "swarm": "swarm-key", "dv": "dv-keys",
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tau",
		Short: "Configure and run a node of a cloud, and ask one that runs",
		Example: `  tau config generate -n cloud.example.com -s compute --protos all --ip 203.0.113.7
  tau start -s compute
  tau invite -s compute --services monkey,hoarder --expires 24h
  tau status -s compute`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		Version:       version(),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(configCommand(), startCommand(), statusCommand(), peersCommand(), inviteCommand(), pushCommand(), jobsCommand(), logsCommand(), functionsCommand(),
		versionsCommand(), rollbackCommand(), leaveCommand(), revokeCommand(), certifyCommand(), rotateCommand(), authCommand(), doctorCommand(), debugCommand(), logLevelCommand(),
		manCommand(), versionCommand(), projects.Command())
	return root
}

// version is the commit that the program was built of, if it knows.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "tau (unknown)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "tau " + s.Value
		}
	}
	return "tau " + info.Main.Version
}

// asJSON adds the flag of commands that read.
func asJSON(cmd *cobra.Command) *bool { return cmd.Flags().Bool("json", false, "print JSON") }

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
