package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/yamltree"
)

const (
	// waitFor is how long a command waits for a node that is starting.
	waitFor = 10 * time.Second
	// patience is how long it waits for an answer before it says that it does, and why.
	patience = 2 * time.Second
	// probeFor is how long a node may take to answer what asks nobody and no disk.
	probeFor = 3 * time.Second
)

// bounds are how long commands wait for an answer of a node that runs: it bounds by less what it does itself, so no
// answer means that the node hangs.
type bounds struct{ ask, push, audit time.Duration }

var within = bounds{ask: 20 * time.Second, push: 2*time.Minute + 10*time.Second, audit: time.Hour + time.Minute}

func (b bounds) of(path string) time.Duration {
	switch path {
	case "push":
		return b.push
	case "audit":
		return b.audit
	}
	return b.ask
}

// errHangs says that something holds the node's socket and does not answer on it.
var errHangs = errors.New("this node does not answer")

// ask puts a question to the node of a shape that runs on this machine, see [live.Client.Ask]. It waits for a node
// that is starting, and says so; and it says what it waits for when an answer takes long.
func (w *where) ask(cmd *cobra.Command, path string, post, get, into any) error {
	if w.node != "" {
		return w.askRemote(cmd, path, get, into)
	}
	return w.askHere(cmd, path, post, get, into)
}

// askRemote has the node of the shape ask another member; where it does not run, this process does, with its certificate.
func (w *where) askRemote(cmd *cobra.Command, path string, get, into any) error {
	req := live.RemoteRequest{Node: w.node, Question: path}
	var err error
	if get != nil {
		if req.Query, err = json.Marshal(get); err != nil {
			return err
		}
	}
	var answer json.RawMessage
	if w.runs() {
		err = w.askHere(cmd, "remote", req, nil, &answer)
	} else {
		answer, err = w.askAlone(cmd, req)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, into)
}

func (w *where) askAlone(cmd *cobra.Command, req live.RemoteRequest) (json.RawMessage, error) {
	s, err := w.load()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), within.ask)
	defer cancel()
	answer, err := live.AskRemote(ctx, s, shape.PathsOf(w.root, w.shape), req)
	if kind := transport.KindOf(err); err != nil && kind != transport.Invalid {
		err = failure{err}
	}
	return answer, err
}

// askHere asks the node of the shape.
func (w *where) askHere(cmd *cobra.Command, path string, post, get, into any) error {
	slow := time.AfterFunc(patience, func() { w.tellSlow(cmd.ErrOrStderr()) })
	defer slow.Stop()
	client, told := w.client(), false
	for end := time.Now().Add(w.wait); ; time.Sleep(100 * time.Millisecond) {
		err := w.askOnce(cmd.Context(), client, path, post, get, into)
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
			return failure{w.notRunning(err)}
		case errors.Is(err, live.ErrNotAllowed):
			return failure{fmt.Errorf("permission denied: %w: ask as the user that runs it, such as sudo -u USER %s %s", err, cmd.CommandPath(), shape.PathsOf(w.root, w.shape).Flags())}
		case f != nil && f.Bad:
			return err
		default:
			return failure{err}
		}
	}
}

// askOnce is within the bounds of the question.
func (w *where) askOnce(ctx context.Context, client *live.Client, path string, post, get, into any) error {
	limit := within.of(path)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := client.Ask(ctx, path, post, get, into)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		return fmt.Errorf("%w within %s: the process that holds %s hangs or is stopped (kill -STOP, a debugger), or this machine is overloaded; its log says what it did last",
			errHangs, limit, client.Socket)
	}
	return err
}

func (w *where) client() *live.Client { return live.NewClient(shape.PathsOf(w.root, w.shape).Socket) }

// tellSlow says whether it is this node that does not answer, or whom that asks.
func (w *where) tellSlow(out io.Writer) {
	if w.hangs() {
		fmt.Fprintf(out, "tau: this node itself does not answer yet; it is given up after %s\n", within.ask)
		return
	}
	fmt.Fprintln(out, "tau: waiting for the answer: this node is there; it may be asking members, of which one that is down is given up after 5 s, and another one asked")
}

// hangs reports whether something holds the node's socket and does not answer.
func (w *where) hangs() bool {
	ctx, cancel := context.WithTimeout(context.Background(), min(probeFor, within.ask))
	defer cancel()
	_, err := w.client().Page(ctx, "/v1/facts", 1)
	return errors.Is(err, context.DeadlineExceeded)
}

// notRunning says what to do about a node that does not run, which is something else if there is no such shape.
func (w *where) notRunning(err error) error {
	if w.exists() {
		return fmt.Errorf("no node of shape %s runs below %s (%w): tau start -s %s --root %s", w.shape, w.root, err, w.shape, w.root)
	}
	config := shape.PathsOf(w.root, w.shape).Config
	var known []string
	files, _ := filepath.Glob(filepath.Join(filepath.Dir(config), "*.yaml"))
	for _, file := range files {
		known = append(known, strings.TrimSuffix(filepath.Base(file), ".yaml"))
	}
	hint := "tau config generate makes one; --root says where else to look"
	if len(known) > 0 {
		hint = yamltree.SuggestFew(w.shape, known, 8)
	}
	return fmt.Errorf("there is no shape %s below %s (no %s); %s", w.shape, w.root, config, hint)
}

// exists reports whether the shape has a configuration: it may be starting. One that cannot be looked for may be there.
func (w *where) exists() bool {
	_, err := os.Stat(shape.PathsOf(w.root, w.shape).Config)
	return !errors.Is(err, fs.ErrNotExist)
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
		Long: `Says how a node is, once, or with --watch again and again until it is interrupted. A node that does not answer is no reason to stop
watching: it may be back. With --watch --json each answer is one line.`,
		Example: `  tau status -s compute --wait 30s    # until it is ready, for scripts
  tau status -s compute --watch --every 5s
  tau status -s compute --node two    # another member, which this node asks by its certificate`}
	w.reading(cmd, 0)
	cmd.Flags().Lookup("wait").Usage = "how long to wait until the node is ready"
	inJSON := asJSON(cmd)
	watch := cmd.Flags().Bool("watch", false, "go on, until interrupted")
	every := cmd.Flags().Duration("every", 2*time.Second, "how often to look with --watch")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case cmd.Flags().Changed("every") && (!*watch || *every < watchMin):
			return fmt.Errorf("--every: expected %s or more, with --watch", watchMin)
		case *watch && w.wait > 0:
			return errors.New("--wait, --watch: expected one of them: who watches waits anyway")
		case *watch:
			return w.watchStatus(cmd, *every, *inJSON)
		}
		st, err := w.statusWithin(cmd)
		if err != nil {
			return err
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

// statusWithin asks until the node is ready, as long as people wait for that.
func (w *where) statusWithin(cmd *cobra.Command) (st live.Status, err error) {
	for end := time.Now().Add(w.wait); ; time.Sleep(200 * time.Millisecond) {
		if err := w.ask(cmd, "status", nil, nil, &st); err != nil || st.Ready || time.Now().After(end) {
			return st, err
		}
	}
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
	cmd := &cobra.Command{Use: "peers", Args: cobra.NoArgs, Short: "The other members that a node knows",
		Example: "  tau peers -s compute\n  tau peers -s compute --node two"}
	w.reading(cmd, waitFor)
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

// usesMax is how many nodes may join by one invitation at most.
const usesMax = 1024

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
		if uses == 0 || uses > usesMax {
			return fmt.Errorf("--uses %d: expected how many nodes may join by it, 1 to %d", uses, usesMax)
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
			return nil, fmt.Errorf("--services: %q is not among what the node may run: %s", name, yamltree.Suggest(name, allowed))
		}
	}
	return services, nil
}
