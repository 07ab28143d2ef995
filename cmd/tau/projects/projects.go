// Package projects has the commands about what users keep in Git: tau project new, validate, schema and show. They read
// and write files of this machine alone, and need no node.
package projects

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/yamltree"
)

// Command is tau project. Errors are about what was given: the files are not as they should be, or not there.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use: "project", Short: "Make, check and show a project, as users keep it in Git", Args: cobra.NoArgs,
		Example: `  tau project new ./hello --template hello
  tau project validate ./hello
  tau project show ./hello --json
  tau project schema > tau.schema.json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCommand(), validateCommand(), schemaCommand(), showCommand())
	return cmd
}

// errTold was told by what was printed.
var errTold = errors.New("")

func asJSON(cmd *cobra.Command) *bool { return cmd.Flags().Bool("json", false, "print JSON") }

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func newCommand() *cobra.Command {
	var template, name string
	cmd := &cobra.Command{
		Use: "new DIR", Args: cobra.ExactArgs(1), Short: "Make a project in a folder; nothing that is there is overwritten",
		Example: "  tau project new ./hello --template hello",
	}
	cmd.Flags().StringVar(&template, "template", "hello", "what it begins with: "+strings.Join(Templates(), ", "))
	cmd.Flags().StringVar(&name, "name", "", "the project's name; default: the folder's")
	inJSON := asJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, written, err := Make(args[0], name, template)
		if err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), map[string]any{"name": name, "dir": args[0], "template": template, "files": written})
		}
		for _, file := range written {
			fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(args[0], filepath.FromSlash(file)))
		}
		return nil
	}
	return cmd
}

// load reads the project in a folder, or that of a tau.yaml or config.yaml, and what comes of it. Links that lead out of
// the folder are not followed.
func load(args []string) (*project.Loaded, *project.Compiled, error) {
	dir := "."
	if len(args) > 0 {
		dir = args[0]
	}
	if base := filepath.Base(dir); base == project.MonoFile || base == project.RepositoryFile {
		dir = filepath.Dir(dir)
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("there is no folder %s: tau project new %s makes a project", dir, dir)
	}
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	loaded, err := project.Load(root.FS())
	if err != nil {
		return nil, nil, in(dir, err)
	}
	_ = in(dir, loaded.Warnings)
	compiled, err := project.Compile(loaded.Project, project.Options{})
	if err == nil {
		err = compiled.Fits()
	}
	return loaded, compiled, err
}

// in names files as they are from here.
func in(dir string, err error) error {
	if all := (yamltree.Errors)(nil); errors.As(err, &all) {
		for _, e := range all {
			e.File = filepath.Join(dir, filepath.FromSlash(e.File))
		}
	}
	return err
}

// problem is a problem in JSON.
type problem struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	What   string `json:"what"`
	Hint   string `json:"hint,omitempty"`
}

func problems(list yamltree.Errors) []problem {
	out := []problem{}
	for _, e := range list {
		out = append(out, problem{e.File, e.Line, e.Col, e.What, e.Hint})
	}
	return out
}

// verdict is what validate prints as JSON.
type verdict struct {
	Valid    bool           `json:"valid"`
	Form     project.Form   `json:"form,omitempty"`
	Count    map[string]int `json:"count,omitempty"`
	Problems []problem      `json:"problems"`
	Warnings []problem      `json:"warnings"`
}

func validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "validate [DIR]", Aliases: []string{"check"}, Args: cobra.MaximumNArgs(1),
		Short:   "Say all that is wrong with a project, with file, line and column; exit status 2 if something is",
		Example: "  tau project validate ./hello",
	}
	inJSON := asJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		loaded, _, err := load(args)
		if *inJSON {
			return judged(cmd.OutOrStdout(), loaded, err)
		}
		if err != nil {
			return err
		}
		warn(cmd.ErrOrStderr(), loaded.Warnings)
		var counts []string
		count := loaded.Count()
		for _, kind := range project.Kinds() {
			if count[kind] > 0 {
				counts = append(counts, fmt.Sprintf("%d %s", count[kind], kind))
			}
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is valid: %s\n", loaded.Name, cmp.Or(strings.Join(counts, ", "), "and empty"))
		return nil
	}
	return cmd
}

// judged prints a verdict.
func judged(out io.Writer, loaded *project.Loaded, err error) error {
	v := verdict{Valid: err == nil, Problems: []problem{}, Warnings: []problem{}}
	if loaded != nil {
		v.Form, v.Count, v.Warnings = loaded.Form, loaded.Count(), problems(loaded.Warnings)
	}
	var all yamltree.Errors
	switch {
	case errors.As(err, &all):
		v.Problems = problems(all)
	case err != nil:
		v.Problems = []problem{{What: err.Error()}}
	}
	if printed := printJSON(out, v); printed != nil {
		return printed
	}
	if err != nil {
		return errTold
	}
	return nil
}

func warn(out io.Writer, warnings yamltree.Errors) {
	for _, w := range warnings {
		fmt.Fprintf(out, "warning: %v\n", w)
	}
}

func schemaCommand() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use: "schema", Args: cobra.NoArgs, Short: "Print the JSON Schema of tau.yaml, for editors, or of the files of a configuration repository",
		Example: "  tau project schema > tau.schema.json   # then, as the first line of tau.yaml: # yaml-language-server: $schema=tau.schema.json",
	}
	cmd.Flags().StringVar(&kind, "kind", "", "of a file of a configuration repository: "+strings.Join(project.Files(), ", "))
	cmd.Flags().Bool("json", true, "print JSON, which it always does")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		schema := project.Schema()
		if kind != "" {
			var err error
			if schema, err = project.FileSchema(kind); err != nil {
				return fmt.Errorf("--kind: %w", err)
			}
		}
		return printJSON(cmd.OutOrStdout(), schema)
	}
	return cmd
}
