package up

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// saidEvery is how often it is asked what a function has said that somebody follows.
const saidEvery = 500 * time.Millisecond

type saidIn struct {
	Project string `json:"project" in:"path"`
	Branch  string `json:"branch" in:"query"`
	// Function is its name, behind that of its application and a slash if it has one.
	Function string `json:"function" in:"query"`
	Follow   bool   `json:"follow" in:"query"`
}

// said tells what a function has said on all substrates, the last of it, which each of them bounds; with Follow until the client goes.
func said(ctx context.Context, u *Universe, in saidIn, send func(taulive.SaidLine) error) error {
	if err := patrickapi.CheckProject(in.Project); err != nil {
		return badRequest(err)
	}
	in.Branch = branchOr(in.Branch)
	var c taulive.Claims
	if err := u.ask(ctx, []string{"tns"}, "claims", nil, taulive.BranchRequest{Project: in.Project, Branch: in.Branch}, &c); err != nil {
		return err
	}
	asked := Call{Project: in.Project, Branch: in.Branch, Function: in.Function}
	own, err := asked.claims(c.Claims)
	if err != nil {
		return badRequest(err)
	}
	req := taulive.SaidRequest{Project: in.Project, Function: own[0].Target}
	if in.Branch != production {
		req.Branch = in.Branch
	}
	for {
		var resp taulive.SaidResponse
		err := u.ask(ctx, []string{"patrick", "auth", "substrate"}, "said", nil, req, &resp)
		switch {
		case err != nil && (!in.Follow || ctx.Err() != nil):
			return err
		case err == nil:
			for _, l := range resp.Lines {
				if err := send(l); err != nil {
					return err
				}
			}
			req.Known = stillKnown(req.Known, resp.Known)
			if len(resp.Lines) > 0 {
				continue // there may be more
			}
		}
		if !in.Follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-u.over:
			return errEnded
		case <-time.After(saidEvery):
		}
	}
}

// stillKnown is what is known of each substrate: of one that has not answered, what was.
func stillKnown(before, now map[string]taulive.Cursor) map[string]taulive.Cursor {
	for p, c := range before {
		if _, answered := now[p]; !answered {
			now[p] = c
		}
	}
	return now
}

// tellSaid prints what a function says. function may begin with the project's name.
func (a *asking) tellSaid(cmd *cobra.Command, c *client, in saidIn) error {
	ask, cancel := within(cmd.Context())
	defer cancel()
	f := &callFlags{asking: a, call: Call{Project: in.Project}}
	if err := f.name(ask, c, in.Function); err != nil {
		return fail(cmd, a.tools, err)
	}
	q := url.Values{"function": {f.call.Function}, "branch": {in.Branch}}
	if in.Follow {
		q.Set("follow", "true")
	}
	out := cmd.OutOrStdout()
	err := c.each(cmd.Context(), "projects/"+url.PathEscape(f.call.Project)+"/said", q, func(line []byte) error {
		var l struct {
			taulive.SaidLine
			Problem
		}
		err := json.Unmarshal(line, &l)
		switch {
		case err != nil:
			return err
		case l.Error != "":
			return errors.New(l.Error)
		case a.json:
			_, err = fmt.Fprintf(out, "%s\n", line)
			return err
		}
		_, err = fmt.Fprintf(out, "%s  %s  %s  %s\n", l.At.Local().Format(time.TimeOnly), l.Node, shortRequest(l.Request), plainText(strings.ReplaceAll(l.Text, "\t", "    ")))
		return err
	})
	return fail(cmd, a.tools, err)
}

// shortRequest is the beginning of a request's id, by which lines of one are seen to belong together; --json has all of it.
func shortRequest(id string) string {
	if rest, called := strings.CutPrefix(id, "call-"); called {
		id = "call-" + rest[:min(len(rest), 3)]
	}
	return cmp.Or(plainText(id[:min(len(id), 8)]), "-")
}
