package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
)

// ask puts a question to the node of a shape that runs on this machine: nil asks for reading, anything else is
// posted.
func (w *where) ask(path string, post, get, into any) error {
	socket := shape.PathsOf(w.root, w.shape).Socket
	client := http.Client{Timeout: 3 * time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	resp, err := request(&client, path, post, get)
	if err != nil {
		return failure{fmt.Errorf("no node of shape %s runs below %s (%s does not answer): tau start -s %s --root %s", w.shape, w.root, socket, w.shape, w.root)}
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return json.NewDecoder(resp.Body).Decode(into)
	}
	var f live.Failure
	if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
		return failure{fmt.Errorf("the node answers %s: is it of another release?", resp.Status)}
	}
	if f.Bad {
		return errors.New(f.Error)
	}
	return failure{errors.New(f.Error)}
}

func request(client *http.Client, path string, post, get any) (*http.Response, error) {
	address := "http://node/v1/" + path
	if post == nil {
		if get != nil {
			q, err := json.Marshal(get)
			if err != nil {
				return nil, err
			}
			address += "?q=" + url.QueryEscape(string(q))
		}
		return client.Get(address)
	}
	body, err := json.Marshal(post)
	if err != nil {
		return nil, err
	}
	return client.Post(address, "application/json", bytes.NewReader(body))
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
	cmd := &cobra.Command{Use: "status", Args: cobra.NoArgs, Short: "How a node is; exit status 1 if it is not ready"}
	w.flags(cmd)
	inJSON := asJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var st live.Status
		if err := w.ask("status", nil, nil, &st); err != nil {
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
	table(out,
		[]string{"node", st.Node, ready},
		[]string{"cloud", st.Cloud, "key " + st.CloudKey},
		[]string{"peer", st.Peer, fmt.Sprintf("start %d, up %s", st.Incarnation, st.Up)},
		[]string{"services", strings.Join(st.Services, ", "), "certificate until " + st.Until.Format(time.DateOnly)},
		[]string{"peers", fmt.Sprint(st.Peers), ""},
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
	w.flags(cmd)
	inJSON := asJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var list []live.Peer
		if err := w.ask("peers", nil, nil, &list); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		lines := [][]string{{"NAME", "ALIVE", "SERVICES", "PEER"}}
		for _, p := range list {
			alive := "?"
			if p.Alive != nil {
				alive = map[bool]string{true: "yes", false: "no"}[*p.Alive]
			}
			lines = append(lines, []string{p.Name, alive, strings.Join(p.Services, ","), p.Peer})
		}
		table(cmd.OutOrStdout(), lines...)
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
	w.flags(cmd)
	inJSON := asJSON(cmd)
	cmd.Flags().StringSliceVar(&services, "services", nil, `what the other node may run, "all" for everything`)
	cmd.Flags().DurationVar(&expires, "expires", 24*time.Hour, "how long it counts")
	cmd.Flags().Uint32Var(&uses, "uses", 1, "how many nodes may join by it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		known := shape.ServiceNames()
		if slices.Equal(services, []string{"all"}) {
			services = known
		}
		if len(services) == 0 {
			return errors.New(`--services: expected what the other node may run: "all", or some of ` + strings.Join(known, ","))
		}
		for _, name := range services {
			if !slices.Contains(known, name) {
				return fmt.Errorf("--services: there is no service %q: known are %s", name, strings.Join(known, ", "))
			}
		}
		var resp live.InviteResponse
		if err := w.ask("invite", live.InviteRequest{Services: services, For: expires, Uses: uses}, nil, &resp); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), resp)
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), resp.Invitation)
		return err
	}
	return cmd
}
