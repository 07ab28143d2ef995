// Package dreamland is the command line of testers and developers, which runs
// scenarios in the simulated world. It knows no service: a program hands its own
// words to Main.
package dreamland

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmdline"
	"github.com/taucloud/tau/sim/scenario"
)

// The exit codes.
const (
	exitHeld   = 0
	exitFailed = 1 // an expectation failed
	exitBad    = 2 // bad input: a file, a flag; or the output could not be written
)

// errFailed is returned when an expectation failed, which has been printed.
var errFailed = errors.New("an expectation failed")

// swarms has at most one.
var swarms []Swarm

// words are those of this program.
var words vocabulary

type vocabulary struct{ all scenario.Vocabulary }

// Vocabulary is what scenarios may speak of.
func (v vocabulary) Vocabulary() scenario.Vocabulary { return v.all }

// command is how people call this program.
func (v vocabulary) command() string { return v.all.Command }

// Main is the main function of a program whose scenarios speak in words: the whole
// command line, for services that this package has never heard of. It ends the
// process: 0 all expectations held, 1 one failed, 2 bad input. With a swarm there is
// a command for stories that nobody wrote.
//
//	func main() { dreamland.Main(counter.Vocabulary()) }
func Main(all scenario.Vocabulary, swarm ...Swarm) {
	words.all = all
	swarms = swarm
	words.all.Command = commandName(all.Command)
	if err := all.Sound(); err != nil {
		fmt.Fprintf(os.Stderr, complaint+"%v\n", err)
		os.Exit(exitBad)
	}
	followParent()
	watchInterrupts()
	if os.Getenv(workerEnv) == "" {
		removeLeftovers()
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	checked := cmdline.NewOutput(stdout)
	out, end := forPeople(checked, stdout)
	root.SetOut(out)
	root.SetErr(stderr)
	err := cmdline.UnknownCommand(root, args)
	if err == nil {
		err = root.Execute()
	}
	end()
	if lost := checked.Err(); lost != nil {
		err = fmt.Errorf("the output is incomplete: %w", lost)
	}
	var bad scenario.Errors
	switch {
	case err == nil:
		return exitHeld
	case errors.Is(err, errFailed):
		return exitFailed
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &bad): // begins with file:line:col, which editors know
		fmt.Fprintln(stderr, err)
	default:
		fmt.Fprintf(stderr, complaint+"%v\n", err)
	}
	return exitBad
}

// complaint begins what is said of bad input that is not in a file.
const complaint = "dreamland: "

// ofScenarios is the heading of the commands of this package.
const ofScenarios = "Scenarios, simulated or on real processes:"

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   words.command(),
		Short: "Run a whole cloud in one process, in virtual time, from one seed",
		Long: `dreamland runs scenarios: stories about a cloud of nodes, its users and its
faults, written in YAML. The services are the real ones; time, network and disks
are simulated, so that a seed fixes everything that happens.`,
		Example: `  dreamland sim scenarios/monkey-lock-race.yaml
  dreamland sim scenarios/node-churn.yaml --seeds 50
  dreamland shrink scenarios/node-churn.yaml --seed 7
  dreamland scenario check my.yaml
  dreamland scenario words crash`,
		Version:       versionText(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	if introduction.long != "" {
		root.Long, root.Example = introduction.long, introduction.example
	}
	root.AddCommand(simCommand(), shrinkCommand(), determinismCommand(), traceCommand(), scenarioCommand(), failpointsCommand(), versionCommand(), resultsCommand(), bisectCommand(), newCommand(), workerCommand())
	if len(swarms) > 0 {
		root.AddCommand(swarmCommand(swarms[0]))
	}
	for _, cmd := range root.Commands() {
		if cmd.Name() != "version" {
			cmd.GroupID = ofScenarios
		}
	}
	addExtras(root)
	root.AddGroup(&cobra.Group{ID: ofScenarios, Title: ofScenarios})
	root.SetVersionTemplate("{{.Version}}\n")
	cmdline.PlainMistakes(root)
	return root
}
