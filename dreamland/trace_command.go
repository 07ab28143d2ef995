package dreamland

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/taucloud/tau/sim/tracefile"
)

func traceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Show a trace, or where two of them part",
		Long: `A trace is what dreamland sim --trace FILE writes: one JSON object a line, see
dreamland trace schema. The files may be -, which is what comes in.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(traceShowCommand(), traceDiffCommand(), traceSchemaCommand())
	return cmd
}

func traceShowCommand() *cobra.Command {
	var f tracefile.Filter
	var raw bool
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Show a trace in readable lines",
		Long: `Shows facts with the places in the code that reported them, warnings, messages,
faults and what services believed. An event ends with its number and that of the
event that caused it.`,
		Example: `  dreamland sim scenarios/cancel.yaml --trace run.jsonl
  dreamland trace show run.jsonl --node monkey-1 --from 10s --to 12s
  dreamland trace show run.jsonl --object 8b508898a56d39d9-0000000000000001-bdfc6875678eba83b0ba630d
  dreamland trace show run.jsonl --service patrick --json | jq .v`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.To > 0 && f.To < f.From {
				return fmt.Errorf("--to %s: expected a moment after --from %s", f.To, f.From)
			}
			in, err := openInput(args[0])
			if err != nil {
				return err
			}
			defer in.Close()
			out := bufio.NewWriter(cmd.OutOrStdout())
			shown, err := tracefile.Show(in, out, f, raw)
			if flushed := out.Flush(); err == nil {
				err = flushed
			}
			var unknown *tracefile.Unknown
			switch {
			case errors.As(err, &unknown):
				return fmt.Errorf("--%s %s: %w; %s", unknown.What, unknown.Name, err, suggestName(unknown.Name, unknown.Known))
			case errors.Is(err, tracefile.ErrEmpty) || errors.As(err, new(*tracefile.Cut)):
				return fmt.Errorf("%s: %w", args[0], err)
			case err == nil && shown == 0:
				fmt.Fprintln(cmd.ErrOrStderr(), "no line is as you ask for")
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.Node, "node", "", "only lines of this node, and frames from it")
	flags.StringVar(&f.Service, "service", "", "only facts, beliefs, timers and messages of this service")
	flags.StringVar(&f.Object, "object", "", "only what names this job, item, version or node")
	flags.DurationVar(&f.From, "from", 0, "only from this virtual time on")
	flags.DurationVar(&f.To, "to", 0, "only up to this virtual time")
	flags.BoolVar(&f.All, "all", false, "also the simulator's own steps: tasks, timers, disks, what keeps conns going")
	flags.BoolVar(&raw, "json", false, "print the lines as they are in the file")
	return cmd
}

func traceDiffCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Show where two traces part, and what led to it",
		Long: `Compares what counts for the digest. Exit status: 0 the traces are equal, 1 they
differ, 2 bad input.`,
		Example: `  dreamland trace diff before.jsonl after.jsonl`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := openInput(args[0])
			if err != nil {
				return err
			}
			defer a.Close()
			b, err := openInput(args[1])
			if err != nil {
				return err
			}
			defer b.Close()
			d, err := tracefile.Diff(a, b)
			if err != nil {
				return err
			}
			if asJSON {
				if err := json.NewEncoder(cmd.OutOrStdout()).Encode(jsonOf(d)); err != nil {
					return err
				}
			} else {
				d.Write(cmd.OutOrStdout())
			}
			if d.Line > 0 {
				return errFailed
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// difference is a tracefile.Difference for machines.
type difference struct {
	Equal   bool          `json:"equal"`
	Line    int           `json:"line,omitempty"`
	Before  []string      `json:"before,omitempty"`
	A       []string      `json:"a,omitempty"`
	B       []string      `json:"b,omitempty"`
	CausesA []eventInDiff `json:"causes_a,omitempty"`
	CausesB []eventInDiff `json:"causes_b,omitempty"`
}

type eventInDiff struct {
	ID   uint64        `json:"id"`
	At   time.Duration `json:"t"`
	Node string        `json:"n,omitempty"`
	Says string        `json:"says"`
}

func jsonOf(d tracefile.Difference) difference {
	events := func(list []tracefile.Event) (out []eventInDiff) {
		for _, e := range list {
			out = append(out, eventInDiff{e.ID, e.At, e.Node, e.Says()})
		}
		return out
	}
	return difference{Equal: d.Line == 0, Line: d.Line, Before: d.Before, A: d.A, B: d.B, CausesA: events(d.CausesA), CausesB: events(d.CausesB)}
}

func traceSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a line of a trace",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(tracefile.Schema)
			return err
		},
	}
}

// openInput opens a file, or what comes in.
func openInput(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}
