package projects

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/route"
)

// shown is what show prints as JSON.
type shown struct {
	Form     project.Form     `json:"form"`
	Project  *project.Project `json:"project"`
	Routes   []route.Claim    `json:"routes"`
	Entries  []string         `json:"entries"`
	Warnings []problem        `json:"warnings"`
}

func showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show [DIR]", Args: cobra.MaximumNArgs(1), Short: "Show a project with all that is meant where nothing is said, and what it answers",
		Long:    "Shows a project as it counts: with the defaults, and with the requests that its functions and websites answer, most specific first.\nThe project's own host is shown below tau.localhost; each cloud has a domain of its own for it.",
		Example: "  tau project show ./hello",
	}
	inJSON := asJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		loaded, compiled, err := load(args)
		if err != nil {
			return err
		}
		if *inJSON {
			s := shown{Form: loaded.Form, Project: loaded.Project, Routes: append([]route.Claim{}, compiled.Claims...), Entries: []string{}, Warnings: problems(loaded.Warnings)}
			for _, e := range compiled.Entries {
				s.Entries = append(s.Entries, e.Path)
			}
			return printJSON(cmd.OutOrStdout(), s)
		}
		warn(cmd.ErrOrStderr(), loaded.Warnings)
		printShown(cmd.OutOrStdout(), loaded, compiled)
		return nil
	}
	return cmd
}

func printShown(out io.Writer, loaded *project.Loaded, compiled *project.Compiled) {
	fmt.Fprintf(out, "%s (%s)\n", loaded.Name, map[project.Form]string{project.Mono: project.MonoFile, project.Repository: "a configuration repository"}[loaded.Form])
	if loaded.Description != "" {
		fmt.Fprintf(out, "%q\n", loaded.Description)
	}
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	loaded.Each(func(ref project.Ref, r any) { fmt.Fprintf(t, "%s\t%s\n", ref, said(r)) })
	_ = t.Flush()
	if len(compiled.Claims) == 0 {
		return
	}
	fmt.Fprintln(out, "answers")
	t = tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, c := range compiled.Claims {
		fmt.Fprintf(t, "  %s\t%s%s\t%s\n", strings.Join(c.Methods, ","), c.Host, c.Path, c.Target)
	}
	_ = t.Flush()
}

// said is a resource in a few words.
func said(r any) string {
	switch r := r.(type) {
	case *project.Domain:
		return r.FQDN
	case *project.Function:
		words := []string{r.Type, r.Timeout.String(), r.Memory.String(), "code " + r.Source}
		for _, more := range []string{r.Channel, r.Protocol, r.Command} {
			if more != "" {
				words = append(words, fmt.Sprintf("%q", more))
			}
		}
		if len(r.Cron) > 0 {
			words = append(words, "cron "+strings.Join(r.Cron, "; "))
		}
		if len(r.Secrets) > 0 {
			words = append(words, "secrets "+strings.Join(r.Secrets, ", "))
		}
		return strings.Join(words, ", ")
	case *project.Website:
		return "code " + codeOf(&r.Code)
	case *project.Library:
		return "code " + codeOf(&r.Code)
	case *project.Database:
		return fmt.Sprintf("%q, %s", r.Match, r.Size)
	case *project.Storage:
		return fmt.Sprintf("%q, %s, %s", r.Match, r.Type, r.Size)
	case *project.Channel:
		return fmt.Sprintf("%q", r.Match)
	case *project.Service:
		return fmt.Sprintf("%q", r.Protocol)
	}
	return ""
}

func codeOf(c *project.Code) string {
	if c.Here() {
		return c.Path
	}
	at := cmp.Or(c.Repository, "github.com/"+c.GithubName)
	if c.Branch != "" {
		at += ", branch " + c.Branch
	}
	return at
}
