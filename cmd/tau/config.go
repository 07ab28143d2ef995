package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/yamltree"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Aliases: []string{"conf", "cnf"}, Short: "Make, check and show the configuration of a node", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(generateCommand(), validateCommand(), showCommand(), schemaCommand(), systemdCommand(), exportCommand(), importCommand())
	return cmd
}

// fileOf is the file that a command is about: one that was named, or that of a shape.
func (w *where) fileOf(path string) string {
	if path != "" {
		return path
	}
	return shape.PathsOf(w.root, w.shape).Config
}

func validateCommand() *cobra.Command {
	var w where
	var path string
	cmd := &cobra.Command{
		Use: "validate", Aliases: []string{"check", "ok", "valid"}, Args: cobra.NoArgs,
		Short:   "Say all that is wrong with a configuration, with file, line and column; try its addresses",
		Example: "  tau config validate -s compute",
	}
	w.flags(cmd)
	inJSON := asJSON(cmd)
	cmd.Flags().StringVarP(&path, "path", "p", "", "the file, in place of a shape")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		file := w.fileOf(path)
		s, places, err := shape.LoadPlaced(file)
		note := ""
		switch {
		case err != nil:
		case othersMayRead(file):
			err = yamltree.Errors{{File: file, Line: 1, Col: 1, What: "others may read this file, which holds the node's key", Hint: "chmod 600 " + file}}
		case path == "" && w.runs():
			note = "; its node runs, so its addresses were not tried"
		default:
			err = tryAddresses(file, s, places)
		}
		warning := ""
		if err == nil {
			warning = s.Unused()
		}
		if *inJSON {
			return validatedAsJSON(cmd.OutOrStdout(), file, warning, err)
		}
		if warning != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s: %s\n", file, warning)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is valid%s\n", file, note)
		return nil
	}
	return cmd
}

// problem is what is wrong at one place of a file; 0 is no place.
type problem struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	Col  int    `json:"col,omitempty"`
	What string `json:"what"`
	Hint string `json:"hint,omitempty"`
}

// validatedAsJSON prints what came of it; the exit status is the same as without.
func validatedAsJSON(out io.Writer, file, warning string, err error) error {
	problems := []problem{}
	var wrong yamltree.Errors
	if errors.As(err, &wrong) {
		for _, e := range wrong {
			problems = append(problems, problem{e.File, e.Line, e.Col, e.What, e.Hint})
		}
	} else if err != nil {
		problems = append(problems, problem{File: file, What: err.Error()})
	}
	if failed := printJSON(out, map[string]any{"file": file, "valid": err == nil, "problems": problems, "warnings": slices.DeleteFunc([]string{warning}, func(w string) bool { return w == "" })}); failed != nil {
		return failed
	}
	if err != nil {
		return errTold
	}
	return nil
}

// runs reports whether the node of a shape runs, or starts, or hangs.
func (w *where) runs() bool {
	var page live.FactsResponse
	ctx, cancel := context.WithTimeout(context.Background(), min(probeFor, within.ask))
	defer cancel()
	err := w.client().Ask(ctx, "facts", nil, live.FactsRequest{Limit: 1}, &page)
	return err == nil || errors.Is(err, context.DeadlineExceeded)
}

// tryAddresses listens where the node will.
func tryAddresses(file string, s *shape.Shape, places shape.Places) error {
	var wrong yamltree.Errors
	complain := func(key string, i int, what, hint string) {
		if what != "" {
			at := places[key][i]
			wrong = append(wrong, &yamltree.Error{File: file, Line: at.Line, Col: at.Col, What: key + ": " + what, Hint: hint})
		}
	}
	for i, text := range s.Listen {
		what, hint := live.TryListen(text)
		complain("p2p-listen", i, what, hint)
	}
	taken := map[string]string{}
	for _, door := range [][2]string{{"metrics-listen", s.MetricsListen}, {"patrick-listen", s.PatrickListen}, {"http-listen", s.HTTPListen}} {
		key, address := door[0], door[1]
		if address == "" {
			continue
		}
		what, hint := live.TryDoor(address)
		if other := taken[address]; other != "" {
			what, hint = fmt.Sprintf("%s is that of %s, too", address, other), "choose another port"
		}
		complain(key, 0, what, hint)
		taken[address] = key
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

func showCommand() *cobra.Command {
	var w where
	var path string
	cmd := &cobra.Command{
		Use: "show", Aliases: []string{"render", "display", "print"}, Args: cobra.NoArgs,
		Short:   "Show the configuration that counts, without secrets",
		Example: "  tau config show -s compute --json",
	}
	w.flags(cmd)
	inJSON := asJSON(cmd)
	cmd.Flags().StringVarP(&path, "path", "p", "", "the file, in place of a shape")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := shape.Load(w.fileOf(path))
		if err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), s.Masked())
		}
		_, err = cmd.OutOrStdout().Write(s.Masked().YAML())
		return err
	}
	return cmd
}

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Args: cobra.NoArgs, Short: "Print the JSON Schema of configurations, for editors",
		Example: "  tau config schema > shape.schema.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := json.MarshalIndent(shape.Schema(), "", "  ")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), string(text))
			return err
		},
	}
}

// writeNew writes a file that must not be there yet, for this user alone, and makes it durable.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) {
		return fmt.Errorf("%s is there already, and is never overwritten: choose another --shape or --root, or move it away", path)
	}
	if err != nil {
		return failure{err}
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return failure{err}
	}
	return nil
}
