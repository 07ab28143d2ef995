package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func versionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Args: cobra.NoArgs, Short: "The release of this program", Example: "  tau version --json"}
	inJSON := asJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), map[string]string{"release": strings.TrimPrefix(version(), "tau ")})
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), version())
		return err
	}
	return cmd
}

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man", Args: cobra.NoArgs, Short: "Print the manual page",
		Example: "  tau man > /usr/local/share/man/man1/tau.1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			writeMan(cmd.OutOrStdout(), cmd.Root())
			return nil
		},
	}
}

// writeMan writes all commands as one page, in man(7).
func writeMan(out io.Writer, root *cobra.Command) {
	fmt.Fprintf(out, ".TH TAU 1\n.SH NAME\ntau \\- %s\n.SH SYNOPSIS\n.B tau\n.I command\n[flags]\n.SH COMMANDS\n", roff(root.Short))
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Runnable() && c != root && !c.Hidden {
			fmt.Fprintf(out, ".SS %s\n%s.\n", roff(c.UseLine()), roff(c.Short))
			if c.Long != "" {
				fmt.Fprintf(out, ".PP\n%s\n", roff(c.Long))
			}
			c.LocalFlags().VisitAll(func(f *pflag.Flag) { manFlag(out, f) })
			if c.Example != "" {
				fmt.Fprintf(out, ".PP\nExample:\n.PP\n.nf\n%s\n.fi\n", roff(c.Example))
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	fmt.Fprint(out, ".SH EXIT STATUS\n0 done, 1 not done or not ready, 2 bad input.\n.SH FILES\nROOT/config/SHAPE.yaml, ROOT/keys, ROOT/data/SHAPE, ROOT/run/SHAPE.sock; ROOT is /tb unless \\-\\-root says otherwise.\n")
}

func manFlag(out io.Writer, f *pflag.Flag) {
	short := ""
	if f.Shorthand != "" {
		short = "\\-" + f.Shorthand + ", "
	}
	fmt.Fprintf(out, ".TP\n.B %s\\-\\-%s\n%s", short, roff(f.Name), roff(f.Usage))
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" && f.DefValue != "0s" {
		fmt.Fprintf(out, " (default %s)", roff(f.DefValue))
	}
	fmt.Fprintln(out)
}

// roff keeps text from being read as requests.
func roff(text string) string {
	lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\e`), "-", `\-`), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
