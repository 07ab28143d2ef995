package dreamland

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/sim/scenario"
)

func scenarioCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scenario",
		Short: "Check scenario files, list them, and look up their words",
		Long: `A scenario file is YAML. The shortest one has a duration and nodes:

  duration: 1m
  nodes: [{name: core, count: 3, services: [seer]}]
  timeline:
    - {at: 10s, crash: core-1, for: 20s}
  expect:
    after-heal: {within: 60s, all: [seers-agree]}

scenarios/FORMAT.md describes every key; "dreamland scenario words" lists them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(checkCommand(), listCommand(), wordsCommand())
	return cmd
}

func checkCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "Say what is wrong with scenario files, without running them",
		Example: `  dreamland scenario check my.yaml
  dreamland scenario check scenarios/*.yaml`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: yamlFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			stories, err := load(files)
			if err != nil {
				return err
			}
			for _, s := range stories {
				events := len(s.Plan(s.Seed))
				if asJSON {
					if err := writeJSON(cmd.OutOrStdout(), checked{s.File, s.Name, len(s.Nodes), events, s.Duration.Milliseconds()}); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "ok  %s: %d nodes, %d events in %s\n", s.File, len(s.Nodes), events, s.Duration)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per file, each on one line")
	return cmd
}

// checked is a file in which nothing is wrong.
type checked struct {
	File       string `json:"file"`
	Name       string `json:"name"`
	Nodes      int    `json:"nodes"`
	Events     int    `json:"events"`
	DurationMS int64  `json:"duration_ms"`
}

// listed is a file of a directory; Bad: something is wrong with it.
type listed struct {
	File  string `json:"file"`
	Name  string `json:"name,omitempty"`
	About string `json:"about,omitempty"`
	Bad   bool   `json:"bad,omitempty"`
}

func listCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:     "list [DIR]",
		Short:   "List the scenarios of a directory (default: scenarios)",
		Example: "  dreamland scenario list",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "scenarios"
			if len(args) > 0 {
				dir = args[0]
			}
			files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
			if err != nil {
				return err
			}
			if info, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no directory %s", dir)
			} else if err != nil {
				return err
			} else if !info.IsDir() {
				return fmt.Errorf("%s is no directory", dir)
			}
			if len(files) == 0 {
				return fmt.Errorf("there is no .yaml file in %s", dir)
			}
			slices.Sort(files)
			for _, file := range files {
				s, err := scenario.Load(file, words.Vocabulary())
				one := listed{File: file}
				switch {
				case errors.As(err, new(scenario.Errors)):
					one.Bad = true
				case err != nil:
					return err
				default:
					one.Name, one.About = s.Name, strings.TrimSpace(s.About)
				}
				if err := one.write(cmd.OutOrStdout(), asJSON); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per file, each on one line")
	return cmd
}

func (l *listed) write(out io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(out, l)
	}
	about := l.About
	if l.Bad {
		about = "BAD: see dreamland scenario check"
	}
	_, err := fmt.Fprintf(out, "%-44s %s\n", l.File, about)
	return err
}

// kinds are the headings of the words.
var kinds = []struct{ kind, title string }{
	{"key", "keys of a scenario"},
	{"expect", "keys of expect"},
	{"entry", "keys of every entry of the timeline"},
	{"action", "verbs of the timeline: what users do"},
	{"fault", "verbs of the timeline: what goes wrong, and right again"},
	{"select", "ways to select nodes"},
	{"quality", "by: what nodes differ in when a fault happens"},
	{"check", "expectations"},
	{"figure", "figures that expect.report may bound"},
	{"service", "services, with their settings"},
	{"mark", "marks in the code, for expect.sometimes"},
	{"failpoint", "failpoints in the code"},
}

func wordsCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "words [WORD...]",
		Short: "Explain the words of scenario files: all in short, or some in full",
		Example: `  dreamland scenario words
  dreamland scenario words crash push nodes`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, w := range scenario.Words(words.Vocabulary()) {
				names = append(names, w.Name)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, names []string) error {
			all := scenario.Words(words.Vocabulary())
			if len(names) > 0 {
				all = slices.DeleteFunc(all, func(w scenario.Word) bool { return !slices.Contains(names, w.Name) })
			}
			if len(all) == 0 {
				return fmt.Errorf("no such word: %s; %s; \"dreamland scenario words\" lists them all", strings.Join(names, " "), suggestWord(names[0]))
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			writeWords(cmd.OutOrStdout(), all, len(names) > 0)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print them as JSON")
	return cmd
}

func suggestWord(word string) string {
	var known []string
	for _, w := range scenario.Words(words.Vocabulary()) {
		known = append(known, w.Name)
	}
	return scenario.Suggest(word, known)
}

func writeWords(out io.Writer, all []scenario.Word, full bool) {
	for _, k := range kinds {
		title := k.title
		for _, w := range all {
			if w.Kind != k.kind {
				continue
			}
			if title != "" {
				fmt.Fprintf(out, "%s\n", title)
				title = ""
			}
			doc := w.Doc
			if !full && w.Means != "" {
				doc = w.Means
			}
			if w.Unit != "" {
				doc = "[" + w.Unit + "] " + doc
			}
			fmt.Fprintf(out, "  %-30s %s\n", w.Name, doc)
			if w.Example != "" {
				fmt.Fprintf(out, "  %-30s for example %s\n", "", w.Example)
			}
			if !full {
				continue
			}
			for _, key := range w.Keys {
				fmt.Fprintf(out, "    %-28s %s\n", key.Name, keyLine(key))
			}
		}
		if title == "" {
			fmt.Fprintln(out)
		}
	}
}

func keyLine(k scenario.Key) string {
	text := k.Type
	if k.Default != "" {
		text += ", default " + k.Default
	}
	if k.Range != "" {
		text += ", " + k.Range
	}
	if k.Doc != "" {
		text += ": " + k.Doc
	}
	return text
}

func failpointsCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "failpoints",
		Short: "List the named moments of services at which a fault can be injected",
		Long: `Lists the failpoints. A scenario turns one on:

  timeline:
    - {at: 3m, failpoint: {name: monkey/after-lock, on: monkey-3, do: crash, times: 1}}

and a shipped binary does with GO_FAILPOINTS='monkey/after-lock=return("delay 3s")'.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			type point struct {
				Name string `json:"name"`
				Doc  string `json:"doc"`
			}
			points := []point{}
			for _, p := range fail.Points() {
				points = append(points, point{p.Name(), p.Doc()})
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), points)
			}
			for _, p := range points {
				fmt.Fprintf(cmd.OutOrStdout(), "%-32s %s\n", p.Name, p.Doc)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print them as JSON")
	return cmd
}
