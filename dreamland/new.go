package dreamland

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/taucloud/tau/sim/scenario"
)

func newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Begin a file",
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
	text := []byte(startOf(strings.TrimSuffix(filepath.Base(file), ".yaml")))
	if _, err := scenario.Parse(file, text, words.Vocabulary()); err != nil {
		return "", err
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

// startOf is a scenario of the services that this program has.
func startOf(name string) string {
	var services []string
	for _, s := range words.Vocabulary().Services {
		services = append(services, s.Name)
	}
	return fmt.Sprintf(`# A story about a cloud, its users and what goes wrong. Every word: %[3]s scenario words
name: %[1]s
about: Three nodes live through a crash and a partition.
seed: 1        # draws all that is left open, such as 10s..20s and one-of
duration: 1m   # virtual time under faults; then everything is healed

network: {latency: 5ms..30ms}

nodes:         # node-1, node-2, node-3, with all services each
  - {name: node, count: 3, services: [%[2]s]}

timeline:      # what users do and what goes wrong; each entry has one verb
  - {at: 10s, crash: {one-of: node-*}, for: 10s..20s}
  - {at: 35s, partition: [[node-1], ["*"]], for: 15s}

expect:
  # always: [...]       must hold all the time
  # after-heal: [...]   must come true within a minute after everything is healed
  report:
    faults: 2           # figures: a value, {min: 1} or {max: 5}
`, name, strings.Join(services, ", "), words.command())
}
