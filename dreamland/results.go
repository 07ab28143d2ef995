package dreamland

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/sweep"
)

// resultsCommand puts together what parts of a sweep have kept.
func resultsCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "results FILE...",
		Short: "Tell what the seeds in files of results came to, those of all parts together",
		Long: `Reads files that sim --results or swarm --results has written, also while they
are being written, and puts them together. All must be of one scenario, one binary
and one wire.

Exit status: 0 all seeds held, 1 one failed, 2 bad input.`,
		Example: `  dreamland results sweep/node-churn.*-of-4.jsonl
  dreamland results --json sweep/node-churn.jsonl`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			return results(files, asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func results(files []string, asJSON bool, out io.Writer) error {
	var first sweep.Header
	var sum *report.Summary
	seen := map[uint64]bool{}
	for i, file := range files {
		h, entries, err := sweep.Read(file)
		if err != nil {
			return err
		}
		if i == 0 {
			first, sum = h, report.NewSummary(h.Scenario, h.Wire)
		} else if how := first.Differs(h); how != "" {
			return fmt.Errorf("%s: %s, and not of the same as %s", file, how, files[0])
		}
		for i := range entries {
			if e := &entries[i]; !seen[e.Seed] {
				seen[e.Seed] = true
				sum.Add(&e.Result)
			}
		}
	}
	if sum.Runs() == 0 {
		return fmt.Errorf("%s: no seed has ended yet", strings.Join(files, ", "))
	}
	if asJSON {
		if err := writeJSON(out, sum.JSON()); err != nil {
			return err
		}
	} else {
		sum.Write(out)
	}
	if sum.Failed() > 0 {
		return errFailed
	}
	return nil
}
