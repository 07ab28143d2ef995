package dreamland

import (
	"cmp"
	"context"
	"io"
	"os/exec"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// Tools are what a command of a program's own shares with those of this package.
type Tools struct {
	Words scenario.Vocabulary
	// Failed is the error of a command of which an expectation failed, and which has said so; Interrupted that of one that was
	// interrupted before.
	Failed, Interrupted error
}

// Load reads scenario files, and says what is wrong with all of them.
func (Tools) Load(files []string) ([]*scenario.Scenario, error) { return load(files) }

// Simulate makes one simulated run of a scenario, in a worker.
func (Tools) Simulate(s *scenario.Scenario, seed uint64, strict bool) (report.Result, error) {
	return supervised(job{scenario: s, seed: seed, wire: scenario.Direct, strict: strict}, nil)
}

// TempDir makes a directory that is gone when remove is called, the process is asked to end, or the next one begins.
func (Tools) TempDir(kind string) (dir string, remove func(), err error) { return tempDir(kind) }

// Tie makes a process that is to be started from this program, with other arguments, end with this one, however this one ends.
func (Tools) Tie(child *exec.Cmd) error { return tie(child) }

// Interruptible returns a context that is cancelled when the process is asked to end, until done is called.
func (Tools) Interruptible() (ctx context.Context, done func()) { return interruptible() }

// JSON writes one line.
func (Tools) JSON(out io.Writer, v any) error { return writeJSON(out, v) }

// Completion completes names of scenario files.
func (Tools) Completion(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	return yamlFiles(cmd, args, toComplete)
}

// Progress shows on standard error how far something is that takes so long, where people look.
func (Tools) Progress(stderr io.Writer, quiet bool, of time.Duration) (at func(time.Duration, uint64), done func()) {
	return newProgress(stderr, quiet).watch(of)
}

// extras are commands of the program's own.
var extras []func(Tools) *cobra.Command

// With adds commands to those of Main, before it is called. Of one by the name of one of those, the commands below it are added to that.
func With(commands ...func(Tools) *cobra.Command) { extras = append(extras, commands...) }

// introduction is what the program's help begins with, if it is more than its scenarios.
var introduction struct{ long, example string }

// Introduce says what the program is and how it is used first, for its help, before Main is called. Without it help speaks of scenarios alone.
func Introduce(long, example string) { introduction.long, introduction.example = long, example }

// addExtras adds them. The group of a command is its heading in the help, and what it says of a command that is there already counts.
func addExtras(root *cobra.Command) {
	for _, make := range extras {
		cmd := make(Tools{Words: words.all, Failed: errFailed, Interrupted: errInterrupted})
		if cmd.GroupID = cmp.Or(cmd.GroupID, ofScenarios); cmd.GroupID != ofScenarios && !root.ContainsGroup(cmd.GroupID) {
			root.AddGroup(&cobra.Group{ID: cmd.GroupID, Title: cmd.GroupID})
		}
		i := slices.IndexFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == cmd.Name() })
		if i < 0 {
			root.AddCommand(cmd)
			continue
		}
		there := root.Commands()[i]
		there.AddCommand(cmd.Commands()...)
		there.Short, there.GroupID = cmp.Or(cmd.Short, there.Short), cmd.GroupID
	}
}
