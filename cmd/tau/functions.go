package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
)

func functionsCommand() *cobra.Command {
	var w where
	req := live.FunctionsRequest{}
	cmd := &cobra.Command{
		Use: "functions [PROJECT]", Args: cobra.MaximumNArgs(1), Short: "What functions have used: requests, errors, time, fuel and memory",
		Long: `What functions have used on each node that runs them, since it has started: how many requests were run, how many of them failed or found no
place, how long they took, and what they cost in fuel - units of the engine, about one for each instruction - and in memory. Each node knows it of the 512
functions that were asked for last. This is told to nodes that offer substrate, patrick or auth.`,
		Example: `  tau functions -s compute
  tau functions shop --branch next --json -s compute`,
	}
	cmd.Flags().StringVar(&req.Branch, "branch", "", "only this branch of the project; without it the one in production")
	w.reading(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			req.Project = args[0]
		case req.Branch != "":
			return errors.New("--branch: expected with a project")
		}
		var resp live.FunctionsResponse
		if err := w.ask(cmd, "functions", nil, req, &resp); err != nil {
			return err
		}
		for _, p := range resp.Silent {
			fmt.Fprintf(cmd.ErrOrStderr(), "tau: %s does not answer: what was used there is missing\n", p)
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), resp)
		}
		lines := [][]string{{"PROJECT", "FUNCTION", "NODE", "REQUESTS", "FAILED", "REFUSED", "COLD", "MEAN", "FUEL", "MEMORY"}}
		for _, f := range resp.Functions {
			project := f.Project
			if f.Branch != "main" {
				project += "@" + f.Branch
			}
			mean, fuel := "-", "-"
			if f.Requests > 0 {
				mean = time.Duration(f.Seconds / float64(f.Requests) * float64(time.Second)).Round(10 * time.Microsecond).String()
				fuel = fmt.Sprint(f.Fuel / f.Requests)
			}
			lines = append(lines, []string{project, strings.Replace(strings.TrimPrefix(f.Function, "functions/"), "/functions/", "/", 1), f.Node, fmt.Sprint(f.Requests),
				fmt.Sprint(f.Errors), fmt.Sprint(f.Refused), fmt.Sprint(f.Cold), mean, fuel, fmt.Sprintf("%.1f of %.1f MiB", mib(f.MemoryMax), mib(f.MemoryLimit))})
		}
		table(cmd.OutOrStdout(), lines...)
		return nil
	}
	return cmd
}

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }
