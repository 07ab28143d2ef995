package up

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/dreamland"
	"github.com/taucloud/tau/yamltree"
)

// NodeFailpoint is a named moment of a node at which a fault can be injected, with what is set there.
type NodeFailpoint struct {
	Point string `json:"point"`
	Node  string `json:"node"`
	Doc   string `json:"doc"`
	// Hits is how often something was done there in this run of the node.
	Hits  int                     `json:"hits"`
	Rules []taulive.FailpointRule `json:"rules"`
}

// SetFailpoint lets nodes fail at a moment.
type SetFailpoint struct {
	Point string `json:"point"`
	// Do is crash, error, drop, panic, hang or "delay 3s"; off ends what is set.
	Do string `json:"do"`
	// Nodes is left out for all that run the point's service.
	Nodes []string `json:"nodes,omitempty"`
	// Times is how often at most, 0: each time. For is how long, such as 30s; left out: until the node ends.
	Times int    `json:"times,omitempty"`
	For   string `json:"for,omitempty"`
}

// ClearFailpoints ends what is set: at a point, or at all; on some nodes, or on all.
type ClearFailpoints struct {
	Point string   `json:"point,omitempty"`
	Nodes []string `json:"nodes,omitempty"`
}

// failpoints lists those of all nodes that are up, of the services that each runs, and others at which something is set.
func failpoints(ctx context.Context, u *Universe, _ nothing) ([]NodeFailpoint, error) {
	list := []NodeFailpoint{}
	for _, m := range u.members {
		if state, _, _, _ := m.is(); state != stateUp && state != stateStarting {
			continue
		}
		var points []taulive.Failpoint
		if err := m.client().Ask(ctx, "failpoints", nil, nil, &points); err != nil {
			if errors.Is(err, taulive.ErrNotRunning) {
				continue // it is about to end, or has not begun
			}
			return nil, fmt.Errorf("node %s: %w", m.Name, err)
		}
		for _, p := range points {
			if len(p.Rules) > 0 || m.passes(p.Name) {
				list = append(list, NodeFailpoint{p.Name, m.Name, p.Doc, p.Hits, p.Rules})
			}
		}
	}
	slices.SortFunc(list, func(a, b NodeFailpoint) int {
		return cmp.Or(strings.Compare(a.Point, b.Point), strings.Compare(a.Node, b.Node))
	})
	return list, nil
}

// passes reports whether the node passes a point: it runs the service that has it, or every node does.
func (m *member) passes(point string) bool {
	service, _, _ := strings.Cut(point, "/")
	return m.runs(service) || service == "beacon"
}

func setFailpoint(ctx context.Context, u *Universe, in SetFailpoint) ([]NodeFailpoint, error) {
	req := taulive.FailpointRequest{Point: in.Point, Do: in.Do, Times: in.Times}
	if in.For != "" {
		d, err := time.ParseDuration(in.For)
		if err != nil || d <= 0 {
			return nil, badRequest(fmt.Errorf("for %.40q: expected a duration such as 30s", in.For))
		}
		req.For = d
	}
	switch {
	case in.Times < 0:
		return nil, badRequest(errors.New("times: expected 0 or more"))
	case in.Do == "off":
		return nil, badRequest(errors.New("off ends what is set: dreamland failpoint clear"))
	case !slices.Contains(taulive.PointNames(), in.Point):
		return nil, badRequest(fmt.Errorf("there is no failpoint %.80q: %s", in.Point, yamltree.SuggestFew(in.Point, taulive.PointNames(), 32)))
	}
	nodes, err := u.those(in.Nodes, func(m *member) bool { return m.passes(in.Point) })
	if err != nil {
		return nil, err
	}
	if len(nodes) == 0 {
		service, _, _ := strings.Cut(in.Point, "/")
		return nil, otherwise{fmt.Errorf("no node of this universe runs %s, which has %s", service, in.Point)}
	}
	return u.onFailpoints(ctx, nodes, req)
}

func clearFailpoints(ctx context.Context, u *Universe, in ClearFailpoints) ([]NodeFailpoint, error) {
	if in.Point != "" && !slices.Contains(taulive.PointNames(), in.Point) {
		return nil, badRequest(fmt.Errorf("there is no failpoint %.80q: %s", in.Point, yamltree.SuggestFew(in.Point, taulive.PointNames(), 32)))
	}
	nodes, err := u.those(in.Nodes, func(m *member) bool {
		state, _, _, _ := m.is()
		return state == stateUp || state == stateStarting
	})
	if err != nil {
		return nil, err
	}
	return u.onFailpoints(ctx, nodes, taulive.FailpointRequest{Point: in.Point, Do: "off"})
}

// those are the nodes of some names, which must be up, or those that are as they should.
func (u *Universe) those(names []string, or func(*member) bool) (list []*member, err error) {
	for _, name := range names {
		m, err := u.member(name)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	for _, m := range u.members {
		if len(names) == 0 && or(m) {
			list = append(list, m)
		}
	}
	for _, m := range list {
		if state, _, _, _ := m.is(); state != stateUp && state != stateStarting {
			return nil, otherwise{fmt.Errorf("node %s is %s: what is set at failpoints ends with a node", m.Name, state)}
		}
	}
	return list, nil
}

// onFailpoints tells nodes, and says how the points are then at which something is set.
func (u *Universe) onFailpoints(ctx context.Context, nodes []*member, req taulive.FailpointRequest) ([]NodeFailpoint, error) {
	for _, m := range nodes {
		if err := m.client().Ask(ctx, "failpoint", req, nil, &struct{}{}); err != nil {
			var f *taulive.Failure
			if errors.As(err, &f) && (f.Bad || f.Unknown) {
				return nil, badRequest(err)
			}
			return nil, fmt.Errorf("node %s: %w", m.Name, err)
		}
	}
	list, err := failpoints(ctx, u, nothing{})
	return slices.DeleteFunc(list, func(p NodeFailpoint) bool { return len(p.Rules) == 0 }), err
}

func failpointCommand(tools dreamland.Tools) *cobra.Command {
	cmd := &cobra.Command{
		Use: "failpoint", Short: "Let nodes fail at a moment of your choice: list, set, clear",
		Long: `A failpoint is a named moment in the code of a service, such as patrick/after-ack: at it a node can crash, return an error, drop what it was about to send,
wait, and, with dreamland up --processes, panic or hang. What is set counts for one run of a node: who is started again does not fail any more.`,
	}
	cmd.AddCommand(listFailpoints(tools), setFailpoints(tools), endFailpoints(tools))
	return cmd
}

func listFailpoints(tools dreamland.Tools) *cobra.Command {
	return says("list", "The failpoints of the nodes that are up, and what is set", "  dreamland failpoint list\n  dreamland failpoint list --json", tools, nil,
		func(ctx context.Context, c *client, _ []string, into *[]NodeFailpoint) error {
			return c.ask(ctx, "failpoints", nil, nil, into)
		},
		func(out io.Writer, list []NodeFailpoint) error { return writeFailpoints(out, list, true) })
}

func setFailpoints(tools dreamland.Tools) *cobra.Command {
	var in SetFailpoint
	return says("set POINT ACTION", "Let nodes fail at a point: crash, error, drop, panic, hang, or 'delay 3s'",
		"  dreamland failpoint set patrick/after-ack crash --times 1\n  dreamland failpoint set monkey/after-build 'delay 5s' --node monkey-2 --for 1m", tools,
		func(cmd *cobra.Command) {
			cmd.Flags().StringSliceVar(&in.Nodes, "node", nil, "on these nodes; default: all that run the point's service")
			cmd.Flags().IntVar(&in.Times, "times", 0, "so often at most, on each of the nodes; default: each time")
			cmd.Flags().StringVar(&in.For, "for", "", "for so long, such as 30s; default: until the node ends")
		},
		func(ctx context.Context, c *client, args []string, into *[]NodeFailpoint) error {
			in.Point, in.Do = args[0], args[1]
			return c.ask(ctx, "failpoint", nil, in, into)
		},
		func(out io.Writer, list []NodeFailpoint) error { return writeFailpoints(out, list, false) })
}

func endFailpoints(tools dreamland.Tools) *cobra.Command {
	var in ClearFailpoints
	return says("clear [POINT]", "End what is set, at one point or at all", "  dreamland failpoint clear\n  dreamland failpoint clear patrick/after-ack --node patrick", tools,
		func(cmd *cobra.Command) {
			cmd.Flags().StringSliceVar(&in.Nodes, "node", nil, "on these nodes; default: on all")
		},
		func(ctx context.Context, c *client, args []string, into *[]NodeFailpoint) error {
			if len(args) > 0 {
				in.Point = args[0]
			}
			return c.ask(ctx, "failpoint/clear", nil, in, into)
		},
		func(out io.Writer, list []NodeFailpoint) error { return writeFailpoints(out, list, false) })
}

func writeFailpoints(out io.Writer, list []NodeFailpoint, all bool) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "nothing is set")
		return err
	}
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "POINT\tNODE\tHITS\tSET\tMOMENT")
	for _, p := range list {
		var rules []string
		for _, r := range p.Rules {
			text := r.Do
			if r.Times > 0 {
				text += fmt.Sprintf(" (%d of %d times)", r.Used, r.Times)
			}
			rules = append(rules, text)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", p.Point, p.Node, p.Hits, cmp.Or(strings.Join(rules, ", "), "-"), p.Doc)
	}
	return t.Flush()
}

// suggest is a hint for a name that is none of those that there are; for "" it lists them.
func suggest(name string, names []string) string {
	if name == "" {
		return yamltree.List(names)
	}
	return yamltree.SuggestFew(name, names, 16)
}

func sortedKeys[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }

// failpointRoutes are those about failpoints.
func failpointRoutes() []route {
	return []route{
		of(http.MethodGet, "/v1/failpoints", "The failpoints of the nodes that are up, and what is set.", failpoints),
		of(http.MethodPost, "/v1/failpoint", "Let nodes fail at a failpoint.", setFailpoint),
		of(http.MethodPost, "/v1/failpoint/clear", "End what is set at failpoints.", clearFailpoints),
	}
}
