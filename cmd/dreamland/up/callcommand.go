package up

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/dreamland"
)

// callBodyMax bounds what a command sends to a function, in bytes.
const callBodyMax = 4 << 20

// callFlags are those of dreamland call.
type callFlags struct {
	*asking
	call    Call
	headers []string
	data    string
	include bool
}

func callCommand(tools dreamland.Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use: "call FUNCTION", Args: cobra.ExactArgs(1), Short: "Ask a function once, without HTTP: what it answers is printed; exit status 1 if it has failed",
		Long: `Hands one request to a substrate, which runs the function: no port and no name is asked. FUNCTION is PROJECT/NAME, PROJECT/APPLICATION/NAME, or without
PROJECT where there is one only, or --project says which. The answer's body is printed as it is, and what came with it to standard error. Exit status 1: it
has answered with 500 or more.`,
		Example: "  dreamland call hello\n  dreamland call shop/orders -X POST -d '{\"item\": 1}' -H 'Content-Type: application/json'\n  dreamland call shop/orders --path '/orders/7?full=1' --json",
	}
	f := &callFlags{asking: newAsking(tools, cmd)}
	set := cmd.Flags()
	set.StringVar(&f.call.Project, "project", "", "of this project")
	set.StringVar(&f.call.Branch, "branch", production, "as this branch has it")
	set.StringVarP(&f.call.Method, "method", "X", "", "default: GET, with a body POST, or what it answers")
	set.StringVar(&f.call.Path, "path", "", "with this path, which may have a query; default: the function's own, if it has no parameters")
	set.StringArrayVarP(&f.headers, "header", "H", nil, "'Name: value'; again for each")
	set.StringVarP(&f.data, "data", "d", "", "the body; @FILE of a file, - or @- of standard input")
	set.BoolVarP(&f.include, "include", "i", false, "print the status and the header, too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) }
	return cmd
}

func (f *callFlags) run(cmd *cobra.Command, function string) error {
	if err := f.read(cmd); err != nil {
		return err
	}
	c, err := f.client()
	if err != nil {
		return fail(cmd, f.tools, err)
	}
	ctx, cancel := within(cmd.Context())
	defer cancel()
	if err := f.name(ctx, c, function); err != nil {
		return fail(cmd, f.tools, err)
	}
	var answer Called
	if err := c.ask(ctx, "projects/"+url.PathEscape(f.call.Project)+"/call", nil, f.call, &answer); err != nil {
		return fail(cmd, f.tools, err)
	}
	if f.json {
		err = printJSON(cmd.OutOrStdout(), answer)
	} else {
		err = f.tell(cmd, answer)
	}
	if err == nil && answer.Status >= http.StatusInternalServerError {
		fmt.Fprintf(cmd.ErrOrStderr(), "dreamland: why, the function's log says: dreamland logs --function %s/%s%s\n", f.call.Project, f.call.Function, ofBranch(f.call.Branch))
		return f.tools.Failed
	}
	return fail(cmd, f.tools, err)
}

// ofBranch is the flag of a branch, "" for that in production.
func ofBranch(branch string) string {
	if branchOr(branch) == production {
		return ""
	}
	return " --branch " + branch
}

// read takes the header and the body from the flags.
func (f *callFlags) read(cmd *cobra.Command) error {
	for _, line := range f.headers {
		name, value, found := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !found || name == "" || strings.ContainsAny(line, "\r\n") {
			return fmt.Errorf("--header %.80q: expected 'Name: value'", line)
		}
		if f.call.Header == nil {
			f.call.Header = map[string][]string{}
		}
		name = http.CanonicalHeaderKey(name)
		f.call.Header[name] = append(f.call.Header[name], strings.TrimSpace(value))
	}
	raw := []byte(f.data)
	file, from := strings.CutPrefix(f.data, "@")
	if from || f.data == "-" {
		in := cmd.InOrStdin()
		if from && file != "-" {
			opened, err := os.Open(file)
			if err != nil {
				return fmt.Errorf("--data: %w", err)
			}
			defer opened.Close()
			in = opened
		}
		var err error
		if raw, err = io.ReadAll(io.LimitReader(in, callBodyMax+1)); err != nil {
			return fmt.Errorf("--data: %w", err)
		}
	}
	if len(raw) > callBodyMax {
		return fmt.Errorf("--data: at most %d MiB", callBodyMax>>20)
	}
	if f.call.Body = string(raw); !utf8.Valid(raw) {
		f.call.Body, f.call.Base64 = base64.StdEncoding.EncodeToString(raw), true
	}
	if f.call.Path != "" && !strings.HasPrefix(f.call.Path, "/") {
		return fmt.Errorf("--path %.80q: expected a slash first", f.call.Path)
	}
	return nil
}

// name finds out of which project the function is.
func (f *callFlags) name(ctx context.Context, c *client, function string) error {
	f.call.Function = function
	if f.call.Project != "" {
		return nil
	}
	var list []Project
	if err := c.ask(ctx, "projects", nil, nil, &list); err != nil {
		return err
	}
	var names []string
	for _, p := range list {
		names = append(names, p.Project)
	}
	project, rest, more := strings.Cut(function, "/")
	switch {
	case more && slices.Contains(names, project):
		f.call.Project, f.call.Function = project, rest
	case len(names) == 1:
		f.call.Project = names[0]
	case len(names) == 0:
		return errors.New("nothing has been pushed yet: dreamland push DIR, or git push")
	case more:
		return noSuch{fmt.Errorf("there is no project %.64q: %s", project, suggest(project, names))}
	default:
		return fmt.Errorf("say of which project: PROJECT/%.64s, of %s", function, suggest("", names))
	}
	return nil
}

// tell prints an answer as it is.
func (f *callFlags) tell(cmd *cobra.Command, a Called) error {
	text := fmt.Sprintf("%d %s  %s %s, by %s in %s", a.Status, http.StatusText(a.Status), a.Method, a.Path, a.Node, time.Duration(a.Took)*time.Microsecond)
	if a.Cold {
		text += ", cold"
	}
	fmt.Fprintln(cmd.ErrOrStderr(), plainText(text))
	out := cmd.OutOrStdout()
	if f.include {
		fmt.Fprintf(out, "HTTP %d %s\n", a.Status, http.StatusText(a.Status))
		for _, name := range sortedKeys(a.Header) {
			for _, value := range a.Header[name] {
				fmt.Fprintf(out, "%s: %s\n", plainText(name), plainText(value))
			}
		}
		fmt.Fprintln(out)
	}
	raw := []byte(a.Body)
	if a.Base64 {
		var err error
		if raw, err = base64.StdEncoding.DecodeString(a.Body); err != nil {
			return err
		}
	}
	if _, err := out.Write(raw); err != nil {
		return err
	}
	if a.Cut {
		return fmt.Errorf("the answer is longer: this is its beginning, %d bytes", len(raw))
	}
	return nil
}
