package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/sim/scenario"
)

// waitFor is how long a command waits for a node that is starting, and patience how long it waits for an answer
// before it says that it does.
const (
	waitFor  = 10 * time.Second
	patience = 2 * time.Second
)

// ask puts a question to the node of a shape that runs on this machine, see [live.Client.Ask]. It waits for a node
// that is starting, and says so.
func (w *where) ask(cmd *cobra.Command, path string, post, get, into any) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), 3*time.Minute)
	defer cancel()
	slow := time.AfterFunc(patience, func() {
		fmt.Fprintln(cmd.ErrOrStderr(), "tau: waiting for the answer; a member that is down is given up after 5 s, and another one asked")
	})
	defer slow.Stop()
	client, told := live.NewClient(shape.PathsOf(w.root, w.shape).Socket), false
	for end := time.Now().Add(w.wait); ; time.Sleep(100 * time.Millisecond) {
		err := client.Ask(ctx, path, post, get, into)
		var f *live.Failure
		starting := errors.As(err, &f) && f.Starting
		switch {
		case err == nil:
			return nil
		case (starting || errors.Is(err, live.ErrNotRunning) && w.exists()) && time.Now().Before(end):
			if slow.Stop(); !told {
				fmt.Fprintf(cmd.ErrOrStderr(), "tau: no node of shape %s has started yet below %s: waiting for it, at most %s (--wait)\n", w.shape, w.root, w.wait)
				told = true
			}
		case errors.Is(err, live.ErrNotRunning):
			return failure{fmt.Errorf("no node of shape %s runs below %s (%w): tau start -s %s --root %s", w.shape, w.root, err, w.shape, w.root)}
		case errors.Is(err, live.ErrNotAllowed):
			return failure{fmt.Errorf("permission denied: %w: ask as the user that runs it, such as sudo -u USER tau %s", err, cmd.Name())}
		case f != nil && f.Bad:
			return err
		default:
			return failure{err}
		}
	}
}

// exists reports whether the shape has a configuration: it may be starting.
func (w *where) exists() bool {
	_, err := os.Stat(shape.PathsOf(w.root, w.shape).Config)
	return err == nil
}

// table writes lines of columns.
func table(out io.Writer, lines ...[]string) {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, line := range lines {
		for i, cell := range line { // some of which others chose
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, strings.Map(printable, cell))
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush()
}

// printable keeps what others chose from moving the cursor.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return unicode.ReplacementChar
	}
	return r
}

func statusCommand() *cobra.Command {
	var w where
	cmd := &cobra.Command{Use: "status", Args: cobra.NoArgs, Short: "How a node is; exit status 1 if it is not ready",
		Example: "  tau status -s compute --wait 30s    # until it is ready, for scripts"}
	w.asking(cmd, 0)
	cmd.Flags().Lookup("wait").Usage = "how long to wait until the node is ready"
	inJSON := asJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var st live.Status
		for end := time.Now().Add(w.wait); ; time.Sleep(200 * time.Millisecond) {
			if err := w.ask(cmd, "status", nil, nil, &st); err != nil {
				return err
			}
			if st.Ready || time.Now().After(end) {
				break
			}
		}
		if *inJSON {
			if err := printJSON(cmd.OutOrStdout(), st); err != nil {
				return err
			}
		} else {
			printStatus(cmd.OutOrStdout(), st)
		}
		if !st.Ready {
			return failure{errNotReady}
		}
		return nil
	}
	return cmd
}

func printStatus(out io.Writer, st live.Status) {
	ready := "ready"
	if !st.Ready {
		ready = "not ready: " + strings.Join(st.NotReady, "; ")
	}
	jobs := "no patrick answers"
	if st.Jobs != nil {
		var counts []string
		for _, status := range []string{"open", "locked", "success", "failed", "cancelled"} {
			if n := st.Jobs[status]; n > 0 {
				counts = append(counts, fmt.Sprintf("%d %s", n, status))
			}
		}
		jobs = strings.Join(append(counts, ""), ", ")
		if jobs = strings.TrimSuffix(jobs, ", "); jobs == "" {
			jobs = "none"
		}
	}
	run, until := "has not started yet", "no certificate yet"
	if st.Incarnation > 0 {
		run = fmt.Sprintf("start %d, up %s", st.Incarnation, st.Up)
	}
	if st.Until.Unix() > 0 {
		until = "certificate until " + st.Until.Format(time.DateOnly)
	}
	peers := fmt.Sprintf("%d alive, %d known", st.Peers, st.Known)
	if st.Unsure {
		peers = fmt.Sprintf("%d known; no seer has said who is alive", st.Known)
	}
	table(out,
		[]string{"node", st.Node, ready},
		[]string{"cloud", st.Cloud, "key " + st.CloudKey},
		[]string{"peer", st.Peer, run},
		[]string{"services", strings.Join(st.Services, ", "), until},
		[]string{"peers", peers, ""},
		[]string{"jobs", jobs, ""},
	)
	for _, a := range st.Addresses {
		fmt.Fprintf(out, "address   %s\n", a)
	}
	for _, warning := range st.Warnings {
		times := ""
		if warning.Times > 1 {
			times = fmt.Sprintf(" (%d times)", warning.Times)
		}
		fmt.Fprintf(out, "warning   %s  %s%s\n", warning.At.Format(time.DateTime), warning.Text, times)
	}
}

func peersCommand() *cobra.Command {
	var w where
	cmd := &cobra.Command{Use: "peers", Args: cobra.NoArgs, Short: "The other members that a node knows"}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var list []live.Peer
		if err := w.ask(cmd, "peers", nil, nil, &list); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		lines, unsure := [][]string{{"NAME", "ALIVE", "SERVICES", "PEER"}}, false
		for _, p := range list {
			alive := "?"
			if p.Alive == nil {
				unsure = true
			} else {
				alive = map[bool]string{true: "yes", false: "no"}[*p.Alive]
			}
			lines = append(lines, []string{p.Name, alive, strings.Join(p.Services, ","), p.Peer})
		}
		table(cmd.OutOrStdout(), lines...)
		if unsure {
			fmt.Fprintln(cmd.ErrOrStderr(), "tau: ?: no seer has said within 2 s who is alive: none runs, or those that do have just started")
		}
		return nil
	}
	return cmd
}

func inviteCommand() *cobra.Command {
	var w where
	var services []string
	var expires time.Duration
	var uses uint32
	cmd := &cobra.Command{
		Use: "invite", Args: cobra.NoArgs, Short: "Print an invitation, by which another node joins the cloud; it is a secret",
		Example: "  tau invite -s compute --services monkey,hoarder --expires 24h > invitation",
	}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.Flags().StringSliceVar(&services, "services", nil, `what the other node may run, "all" for everything`)
	cmd.Flags().DurationVar(&expires, "expires", 24*time.Hour, "how long it counts")
	cmd.Flags().Uint32Var(&uses, "uses", 1, "how many nodes may join by it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(services) == 0 {
			return errors.New(`--services: expected what the other node may run: "all", or some of ` + strings.Join(shape.ServiceNames(), ","))
		}
		services, err := chosen(services, shape.ServiceNames())
		if err != nil {
			return err
		}
		var resp live.InviteResponse
		if err := w.ask(cmd, "invite", live.InviteRequest{Services: services, For: expires, Uses: uses}, nil, &resp); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), resp)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), resp.Invitation)
		return err
	}
	return cmd
}

// chosen are the services that people have named, among those that there are or are allowed.
func chosen(services, allowed []string) ([]string, error) {
	if slices.Equal(services, []string{"all"}) {
		return allowed, nil
	}
	for _, name := range services {
		switch {
		case name == "all":
			return nil, errors.New(`--services: "all" is everything: leave the others out, or it`)
		case !slices.Contains(allowed, name):
			return nil, fmt.Errorf("--services: %q is not among what the node may run: %s", name, scenario.Suggest(name, allowed))
		}
	}
	return services, nil
}
