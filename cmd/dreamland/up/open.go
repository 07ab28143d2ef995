package up

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/dreamland"
)

// Opened is what a browser is to show.
type Opened struct {
	URL string `json:"url"`
}

func openCommand(tools dreamland.Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use: "open [PROJECT]", Args: cobra.MaximumNArgs(1), Short: "Show the page of a universe in a browser, or a project",
		Long: `Opens the page of the universe, with the token that it asks for behind the # of its address, which browsers send to nobody; or where a project
answers. The address is printed, too: whoever has that of the page can do to the universe what you can.`,
		Example: "  dreamland open\n  dreamland open hello --branch next --print",
	}
	a := newAsking(tools, cmd)
	branch := cmd.Flags().String("branch", production, "of the project")
	only := cmd.Flags().Bool("print", false, "print the address only")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return fail(cmd, tools, err)
		}
		o := Opened{c.says.Admin + "/#token=" + url.QueryEscape(c.token)}
		if len(args) > 0 {
			if o.URL, err = projectURL(cmd.Context(), c, args[0], *branch); err != nil {
				return fail(cmd, tools, err)
			}
		}
		if a.json {
			return printJSON(cmd.OutOrStdout(), o)
		}
		fmt.Fprintln(cmd.OutOrStdout(), o.URL)
		if *only {
			return nil
		}
		return fail(cmd, tools, browse(o.URL))
	}
	return cmd
}

// projectURL is where a branch of a project answers.
func projectURL(ctx context.Context, c *client, project, branch string) (string, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	var list []Project
	if err := c.ask(ctx, "projects", nil, nil, &list); err != nil {
		return "", err
	}
	i := slices.IndexFunc(list, func(p Project) bool { return p.Project == project })
	if i < 0 {
		return "", noSuch{fmt.Errorf("there is no project %.64q: dreamland builds shows what was pushed", project)}
	}
	for _, b := range list[i].Branches {
		if b.Branch == branch && b.URL != "" {
			return b.URL, nil
		}
	}
	return "", noSuch{fmt.Errorf("branch %.64q of %s has not been pushed", branch, project)}
}

// browse lets the browser of this machine show an address.
func browse(address string) error {
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return errors.New("no browser could be started (there is no " + program + "): open the address above")
	}
	if err := exec.Command(path, address).Run(); err != nil {
		return fmt.Errorf("no browser could be started (%s: %w): open the address above", program, err)
	}
	return nil
}
