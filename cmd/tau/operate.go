package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmdline"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// followEvery is how often a log is asked for that is followed.
const followEvery = time.Second

func logsCommand() *cobra.Command {
	var w where
	cmd := &cobra.Command{
		Use: "logs JOB", Args: cobra.MaximumNArgs(1), Short: "The log of a job, or with --function what a function says",
		Long: `The log of a job: whole when it has ended, else what is known of it so far. With --function it is what a function of a project says on
standard error, on all nodes that run it: the last of it, with the id of the request that it was said for, and why a request was stopped. This is
told to nodes that offer substrate, patrick or auth.`,
		Example: `  tau logs -s compute -f 4c64711b5e446552-0000000000000001-9f932fa374fdf3cbbcd6b613
  tau logs -s compute -f --project shop --function order`,
	}
	said := live.SaidRequest{}
	cmd.Flags().StringVar(&said.Function, "function", "", "the function whose log is wanted: NAME, or APPLICATION/NAME")
	cmd.Flags().StringVar(&said.Project, "project", "", "its project")
	cmd.Flags().StringVar(&said.Branch, "branch", "", "its branch; without it the one in production")
	w.reading(cmd, waitFor)
	inJSON := asJSON(cmd)
	follow := cmd.Flags().BoolP("follow", "f", false, "go on until the job has ended; exit status 1 if it did without success")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case said.Function != "" && (said.Project == "" || len(args) > 0):
			return errors.New("--function: expected with --project, and without a job")
		case said.Function != "":
			return w.said(cmd, said, *follow, *inJSON)
		case said.Project != "" || said.Branch != "":
			return errors.New("--project, --branch: expected with --function")
		case len(args) == 0:
			return errors.New("expected a job, such as tau jobs lists, or --project and --function")
		}
		if !patrickapi.IsJobID(args[0]) {
			return noJob(args[0])
		}
		var told []string
		for {
			var log live.LogResponse
			if err := w.ask(cmd, "log", nil, live.LogRequest{Job: args[0]}, &log); err != nil {
				return err
			}
			if *inJSON && (!*follow || log.Final) {
				return printJSON(cmd.OutOrStdout(), log)
			}
			if !*inJSON {
				printLines(cmd.OutOrStdout(), unheard(told, log.Lines))
				told = log.Lines
			}
			switch {
			case log.Final && (log.Full || len(log.Lines) == 0) && *follow && log.Status != patrickapi.Success.String():
				return failure{errors.New("the job has " + log.Status)}
			case !*follow, log.Final && (log.Full || len(log.Lines) == 0):
				return nil
			}
			if err := cmdline.Lost(cmd.OutOrStdout()); err != nil {
				return failure{err}
			}
			time.Sleep(followEvery)
		}
	}
	return cmd
}

// said prints what a function says.
func (w *where) said(cmd *cobra.Command, req live.SaidRequest, follow, inJSON bool) error {
	application, name, found := strings.Cut(req.Function, "/")
	if req.Function = "functions/" + req.Function; found {
		req.Function = "applications/" + application + "/functions/" + name
	}
	silent := map[string]bool{}
	for {
		var resp live.SaidResponse
		if err := w.ask(cmd, "said", nil, req, &resp); err != nil {
			return err
		}
		for _, p := range resp.Silent {
			if !silent[p] {
				fmt.Fprintf(cmd.ErrOrStderr(), "tau: %s does not answer: what was said there is missing\n", p)
			}
			silent[p] = true
		}
		if resp.Lost > 0 && len(req.Known) > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "tau: %d lines are not kept any more\n", resp.Lost)
		}
		for _, l := range resp.Lines {
			if inJSON {
				if err := printJSON(cmd.OutOrStdout(), l); err != nil {
					return err
				}
				continue
			}
			printLines(cmd.OutOrStdout(), []string{l.At.Format(time.DateTime) + "  " + l.Node + "  " + l.Request + "  " + l.Text})
		}
		for p, c := range req.Known {
			if _, answered := resp.Known[p]; !answered {
				resp.Known[p] = c
			}
		}
		req.Known = resp.Known
		switch {
		case len(resp.Lines) > 0:
			continue // there may be more
		case !follow:
			return nil
		}
		if err := cmdline.Lost(cmd.OutOrStdout()); err != nil {
			return failure{err}
		}
		time.Sleep(followEvery)
	}
}

// noJob says why something is not the name of a job.
func noJob(text string) error {
	if strings.HasPrefix(text, "rollback-") {
		return fmt.Errorf("%q is no job: by this name tau rollback has published a version anew, which builds nothing and has no log; "+
			"the job that has built it is, in tau versions, the other one of the same commit", text)
	}
	return fmt.Errorf("%q is no job: tau push and tau jobs print them", text)
}

func printLines(out io.Writer, lines []string) {
	for _, line := range lines {
		fmt.Fprintln(out, strings.Map(printable, line)) // builds say what they like
	}
}

// unheard are the lines of a log that come after those that were told. A log grows at its end, so they come after what it
// had before. If its beginning is not kept any more, or was not known before, they come after the longest end of what was
// told, where that is first: rather a line twice than none.
func unheard(told, now []string) []string {
	for n := min(len(told), len(now)); n > 0; n-- {
		tail := told[len(told)-n:]
		for at := 0; at+n <= len(now); at++ {
			if slices.Equal(now[at:at+n], tail) {
				return now[at+n:]
			}
		}
	}
	return now
}

func versionsCommand() *cobra.Command {
	var w where
	req := live.BranchRequest{}
	cmd := &cobra.Command{
		Use: "versions PROJECT", Args: cobra.ExactArgs(1), Short: "The versions of a branch that are kept, the live one first",
		Example: "  tau versions site -s compute",
	}
	w.reading(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.Flags().StringVar(&req.Branch, "branch", "main", "the branch")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Project = args[0]
		var list []live.Version
		if err := w.ask(cmd, "versions", nil, req, &list); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		lines := [][]string{{"", "COMMIT", "ORDER", "ENTRIES", "JOB"}}
		for _, v := range list {
			live := ""
			if v.Live {
				live = "live"
			}
			lines = append(lines, []string{live, v.Commit, fmt.Sprintf("%d.%d", v.Order, v.Rollback), fmt.Sprint(v.Entries), v.Job})
		}
		table(cmd.OutOrStdout(), lines...)
		return nil
	}
	return cmd
}

func rollbackCommand() *cobra.Command {
	var w where
	req := live.BranchRequest{}
	cmd := &cobra.Command{
		Use: "rollback PROJECT COMMIT", Args: cobra.RangeArgs(1, 2), Short: "Make an older version of a branch live again, until the next push",
		Long:    "Publishes what a kept commit has (tau versions) once more, right after the live version. The next push is newer than it.",
		Example: "  tau rollback site 9f932fa374fdf3cbbcd6b613 -s compute",
	}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.Flags().StringVar(&req.Branch, "branch", "main", "the branch")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) < 2 {
			return fmt.Errorf("expected COMMIT: tau %s; tau versions %s lists those that are kept", cmd.Use, args[0])
		}
		req.Project, req.Commit = args[0], args[1]
		var v live.Version
		if err := w.ask(cmd, "rollback", req, nil, &v); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), v)
		}
		table(cmd.OutOrStdout(), []string{"live", v.Commit, fmt.Sprintf("%d.%d", v.Order, v.Rollback)})
		return nil
	}
	return cmd
}

// sure is the flag of what cannot be undone.
func sure(cmd *cobra.Command) *bool { return cmd.Flags().Bool("yes", false, "do it: nothing asks") }

func leaveCommand() *cobra.Command {
	var w where
	cmd := &cobra.Command{
		Use: "leave", Args: cobra.NoArgs, Short: "Take a node out of its cloud: it tells the others, and ends",
		Long: `The node says that it leaves for ever, drains and ends. Others make copies of what it held. No command says that they have all
of it: what each hoarder holds grows (hoarder.bytes-used in tau status --json there) until it has, and then stands still. Keep the disk
until then. It is no revocation: whoever starts it again is back, as long as its certificate counts (tau revoke).`,
		Example: "  tau leave -s compute --yes",
	}
	w.asking(cmd, 0)
	yes := sure(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !*yes {
			return errors.New("--yes: expected, since the node ends, and others stop counting on it")
		}
		if err := w.ask(cmd, "leave", struct{}{}, nil, &struct{}{}); err != nil {
			return err
		}
		for end := time.Now().Add(time.Minute); w.runs(); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(end) {
				return failure{errors.New("the node has not ended within a minute: its log says what it waits for")}
			}
		}
		fmt.Fprintln(cmd.OutOrStdout(), "the node has left and ended")
		return nil
	}
	return cmd
}

func revokeCommand() *cobra.Command {
	var w where
	var cloudKey string
	var unknown bool
	cmd := &cobra.Command{
		Use: "revoke PEER", Args: cobra.ExactArgs(1), Short: "Take all certificates of a member back: it is a stranger from then on",
		Long: `Asks the auth of this node to take the certificates of a member back, by its peer (tau peers). Every node that reaches an auth knows of it
within seconds. An auth whose certificate the cloud's key has signed, which lets it sign those of others (tau status --json there: issuer),
is revoked with the cloud's key only (--cloud-key): the first node is one, and each that tau certify has made one. An auth that came by an
invitation and was not certified since is revoked like any other member. A peer that this node does not know is refused (--unknown).`,
		Example: "  tau revoke 12D3KooW... -s compute --yes",
	}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	yes := sure(cmd)
	cmd.Flags().StringVar(&cloudKey, "cloud-key", "", "the file of the cloud's key, to revoke an auth that it has certified")
	cmd.Flags().BoolVar(&unknown, "unknown", false, "also if this node knows no such member")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		peer, err := transport.ParsePeer(args[0])
		if err != nil {
			return fmt.Errorf("%q is no peer: tau peers shows them", args[0])
		}
		if !*yes {
			return errors.New("--yes: expected, since a revoked key never comes back")
		}
		req := live.RevokeRequest{Peer: peer.String(), Unknown: unknown}
		if cloudKey != "" {
			key, err := readCloudKey(cloudKey)
			if err != nil {
				return err
			}
			s, err := w.load()
			if err != nil {
				return err
			}
			if err := key.belongs(cloudKey, s); err != nil {
				return err
			}
			signed := membership.Revoke(key.Identity, membership.Revocation{Cloud: s.Network, Subject: peer, Before: time.Now().Unix()})
			req.Statement = transport.Encode(membership.Revoking{Revocation: signed})
		}
		var resp live.RevokeResponse
		if err := w.ask(cmd, "revoke", req, nil, &resp); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), resp)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "revoked; that is durable on %s\n", counted(resp.Copies, "auth"))
		return nil
	}
	return cmd
}

// counted is a number of things: 1 auth, 2 auths.
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
