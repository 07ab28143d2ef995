package dreamland

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

func newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Begin a scenario",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "scenario NAME",
		Short:   "Write a scenario with comments to begin with, which runs and holds",
		Example: "  dreamland new scenario scenarios/my-story.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := newScenario(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\nrun it: %s sim %s\n", file, words.command(), file)
			return nil
		},
	})
	return cmd
}

// newScenario writes the start of a scenario where there is no file yet.
func newScenario(name string) (file string, err error) {
	file = strings.TrimSuffix(name, ".yaml") + ".yaml"
	v, title := words.Vocabulary(), strings.TrimSuffix(filepath.Base(file), ".yaml")
	text := []byte(startOf(title, firstAction(v)))
	if _, err := scenario.Parse(file, text, v); err != nil { // its example speaks of another cloud
		text = []byte(startOf(title, nil))
		if _, err := scenario.Parse(file, text, v); err != nil {
			return "", err
		}
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		return "", fmt.Errorf("%s is there already: choose another name", file)
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s: there is no directory %s", file, filepath.Dir(file))
	case err != nil:
		return "", err
	}
	_, err = f.Write(text)
	return file, errors.Join(err, f.Close())
}

// startOf is a scenario of the services that this program has, in which users do something, unless action is nil.
func startOf(name string, action *scenario.Action) string {
	v := words.Vocabulary()
	var services []string
	for _, s := range v.Services {
		services = append(services, s.Name)
	}
	return fmt.Sprintf(`# A story about a cloud, its users and what goes wrong. Every word: %[3]s scenario words
name: %[1]s
about: Three nodes live through a crash and a partition.
seed: 1        # draws all that is left open, such as 10s..20s and one-of
duration: 1m   # virtual time under faults; then everything is healed

network: {latency: 5ms..30ms}

nodes:         # core-1, core-2, core-3, with all services each
  - {name: core, count: 3, services: [%[2]s]}

timeline:      # what users do and what goes wrong; each entry has one verb
%[4]s  - {at: 10s, crash: {one-of: core-*}, for: 10s..20s}
  - {at: 35s, partition: [[core-1], ["*"]], for: 15s}

expect:
%[5]s  report:
    faults: 2           # figures: a value, {min: 1} or {max: 5}
`, name, strings.Join(services, ", "), words.command(), entryOf(action), expectationsOf(v, action))
}

// firstAction is the first thing that the vocabulary lets users do, nil if there is none.
func firstAction(v scenario.Vocabulary) *scenario.Action {
	for i := range v.Actions {
		if v.Actions[i].Attack == nil {
			return &v.Actions[i]
		}
	}
	return nil
}

// entryOf is what a scenario begins with that users do.
func entryOf(a *scenario.Action) string {
	if a == nil {
		return ""
	}
	return fmt.Sprintf("  - {at: 5s, every: 5s, times: 8, %s}\n", a.Example)
}

// expectationsOf are two of what the services promise about what users do: the first that must hold all
// the time, and the first that must come true.
func expectationsOf(v scenario.Vocabulary, a *scenario.Action) string {
	always, healed := "[]", "[]"
	for _, c := range v.Checks {
		if a == nil || !slices.Contains(c.Of, a.Service) {
			continue
		}
		made := c.New()
		_, settles := made.(check.OnSettled)
		_, listens := made.(check.OnFact)
		if always == "[]" && listens {
			always = "[" + c.Name + "]"
		}
		if healed == "[]" && settles {
			healed = "[" + c.Name + "]"
		}
	}
	var b strings.Builder
	for _, e := range []struct{ key, list, means string }{
		{"always", always, "must hold all the time"},
		{"after-heal", healed, "must come true within a minute after everything is healed"},
	} {
		if e.list == "[]" {
			e.key, e.list = "# "+e.key, "[...]"
		}
		fmt.Fprintf(&b, "  %s: %s   # %s\n", e.key, e.list, e.means)
	}
	return b.String()
}
