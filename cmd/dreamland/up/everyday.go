package up

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/dreamland"
)

// asking is a command about a universe that runs.
type asking struct {
	tools    dreamland.Tools
	universe string
	json     bool
}

func newAsking(tools dreamland.Tools, cmd *cobra.Command) *asking {
	a := &asking{tools: tools}
	cmd.Flags().StringVarP(&a.universe, "universe", "u", "", "which universe; default: $DREAMLAND_UNIVERSE, the only one that runs, or "+defaultName)
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return a
}

// client reaches the universe.
func (a *asking) client() (*client, error) {
	p, err := theUniverse(a.universe)
	if err != nil {
		return nil, err
	}
	return reach(p)
}

// says is a command that asks one thing and shows the answer.
func says[Out any](use, short, example string, tools dreamland.Tools, flags func(*cobra.Command), ask func(ctx context.Context, c *client, args []string, into *Out) error, show func(out io.Writer, answer Out) error) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: example}
	a := newAsking(tools, cmd)
	if flags != nil {
		flags(cmd)
	}
	cmd.Args = cobra.ExactArgs(strings.Count(use, " ") - strings.Count(use, "["))
	if strings.Contains(use, "[") {
		cmd.Args = cobra.MaximumNArgs(strings.Count(use, " "))
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return fail(cmd, tools, err)
		}
		ctx, cancel := within(cmd.Context())
		defer cancel()
		var answer Out
		if err := ask(ctx, c, args, &answer); err != nil {
			return fail(cmd, tools, err)
		}
		if a.json {
			return printJSON(cmd.OutOrStdout(), answer)
		}
		return fail(cmd, tools, show(cmd.OutOrStdout(), answer))
	}
	return cmd
}

func statusCommand(tools dreamland.Tools) *cobra.Command {
	return says("status", "How a universe and its nodes are; exit status 1 if one of them is not ready", "  dreamland status\n  dreamland status -u shop --json", tools, nil,
		func(ctx context.Context, c *client, _ []string, into *Status) error {
			return c.ask(ctx, "status", nil, nil, into)
		},
		func(out io.Writer, s Status) error {
			tellUp(out, s)
			writeNodes(out, s)
			if !s.Ready {
				return errors.New("not all nodes are ready")
			}
			return nil
		})
}

func tellUp(out io.Writer, s Status) {
	kind := "in one process"
	if s.Processes {
		kind = "a process each"
	}
	fmt.Fprintf(out, "universe %s, up %s, %d nodes, %s\n", s.Name, s.Up, len(s.Nodes), kind)
	if s.HTTP != "" {
		fmt.Fprintf(out, "  http   %s\n", s.HTTP)
	}
	fmt.Fprintf(out, "  git    %s/PROJECT.git\n  admin  %s (token: %s)\n", s.Git, s.Admin, s.Token)
	if len(s.Partition) > 0 {
		var groups []string
		for _, g := range s.Partition {
			groups = append(groups, strings.Join(g, ","))
		}
		fmt.Fprintf(out, "  partition %s\n", strings.Join(groups, " | "))
	}
}

func writeNodes(out io.Writer, s Status) {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "NODE\tSTATE\tUP\tSERVICES\t")
	for _, n := range s.Members {
		state := n.State
		if n.Why != "" {
			state += ": " + n.Why
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\n", n.Name, plainText(state), n.Up, strings.Join(n.Services, ","))
	}
	_ = t.Flush()
}

// plainText keeps what others chose from moving the cursor.
func plainText(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, text)
}

// firstLine is the beginning of a text of several lines, for a table.
func firstLine(text string) string {
	line, _, more := strings.Cut(text, "\n")
	if more {
		line += " ..."
	}
	return line
}

func buildsCommand(tools dreamland.Tools) *cobra.Command {
	return says("builds [PROJECT]", "The newest jobs, of all projects or of one", "  dreamland builds\n  dreamland builds hello --json", tools, nil,
		func(ctx context.Context, c *client, args []string, into *[]taulive.Job) error {
			q := url.Values{}
			if len(args) > 0 {
				q.Set("project", args[0])
			}
			err := c.ask(ctx, "builds", q, nil, into)
			if err == nil && len(args) > 0 && len(*into) == 0 {
				err = fmt.Errorf("there is no project %.64q: dreamland builds lists those that were pushed", args[0])
			}
			return err
		},
		func(out io.Writer, list []taulive.Job) error { writeBuilds(out, list); return nil })
}

func writeBuilds(out io.Writer, list []taulive.Job) {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "PROJECT\tBRANCH\tCOMMIT\tSTATUS\tACCEPTED\tJOB\tERROR")
	for _, j := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", plainText(j.Project), plainText(j.Branch), short(j.Commit), j.Status, j.Accepted.Local().Format(time.TimeOnly), j.Job, plainText(firstLine(j.Error)))
	}
	_ = t.Flush()
}

func versionsCommand(tools dreamland.Tools) *cobra.Command {
	branch := ""
	return says("versions PROJECT", "The versions of a branch that are kept, the live one first", "  dreamland versions hello", tools,
		func(cmd *cobra.Command) { cmd.Flags().StringVar(&branch, "branch", "main", "of this branch") },
		func(ctx context.Context, c *client, args []string, into *[]taulive.Version) error {
			return c.ask(ctx, "projects/"+url.PathEscape(args[0])+"/versions", url.Values{"branch": {branch}}, nil, into)
		},
		func(out io.Writer, list []taulive.Version) error {
			t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
			fmt.Fprintln(t, "COMMIT\tLIVE\tENTRIES\tJOB")
			for _, v := range list {
				fmt.Fprintf(t, "%s\t%s\t%d\t%s\n", v.Commit, map[bool]string{true: "live"}[v.Live], v.Entries, v.Job)
			}
			return t.Flush()
		})
}

func rollbackCommand(tools dreamland.Tools) *cobra.Command {
	branch := ""
	return says("rollback PROJECT [COMMIT]", "Make an older version live again: the one before, or that of a commit", "  dreamland rollback hello\n  dreamland rollback hello 1f3a9c", tools,
		func(cmd *cobra.Command) { cmd.Flags().StringVar(&branch, "branch", "main", "of this branch") },
		func(ctx context.Context, c *client, args []string, into *taulive.Version) error {
			if len(args) == 0 {
				return badRequest(errors.New("expected PROJECT: dreamland rollback PROJECT [COMMIT]"))
			}
			in := map[string]string{"branch": branch}
			if len(args) > 1 {
				in["commit"] = args[1]
			}
			return c.ask(ctx, "projects/"+url.PathEscape(args[0])+"/rollback", nil, in, into)
		},
		func(out io.Writer, v taulive.Version) error {
			_, err := fmt.Fprintf(out, "live: %s of %s, branch %s\n", v.Commit, v.Project, v.Branch)
			return err
		})
}

// nodeCommand is one that does something to a node.
func nodeCommand(what, short string) func(dreamland.Tools) *cobra.Command {
	return func(tools dreamland.Tools) *cobra.Command {
		return says(what+" NODE", short, "  dreamland "+what+" hoarder-2", tools, nil,
			func(ctx context.Context, c *client, args []string, into *Done) error {
				return c.ask(ctx, "nodes/"+url.PathEscape(args[0])+"/"+what, nil, struct{}{}, into)
			},
			func(out io.Writer, d Done) error {
				text := d.Node + " is " + d.State
				if d.How != "" {
					text += " (" + d.How + ")"
				}
				_, err := fmt.Fprintln(out, text)
				return err
			})
	}
}

var (
	killCommand  = nodeCommand("kill", "End a node at once, as kill -9 would; dreamland start NODE brings it back")
	startCommand = nodeCommand("start", "Start a node that is down, or let one go on that is paused")
	pauseCommand = nodeCommand("pause", "Freeze a node until it is started")
)

func partitionCommand(tools dreamland.Tools) *cobra.Command {
	return says("partition A,B|C", "Let nodes of different groups not hear of each other, until dreamland heal; those in none are one more group", "  dreamland partition 'patrick,monkey|tns,hoarder'\n  dreamland partition monkey-2", tools, nil,
		func(ctx context.Context, c *client, args []string, into *Partition) error {
			var p Partition
			for part := range strings.SplitSeq(args[0], "|") {
				p.Groups = append(p.Groups, strings.Split(part, ","))
			}
			return c.ask(ctx, "partition", nil, p, into)
		}, showPartition)
}

func healCommand(tools dreamland.Tools) *cobra.Command {
	return says("heal", "End the partition", "  dreamland heal", tools, nil,
		func(ctx context.Context, c *client, _ []string, into *Partition) error {
			return c.ask(ctx, "heal", nil, struct{}{}, into)
		}, showPartition)
}

func showPartition(out io.Writer, p Partition) error {
	if len(p.Groups) == 0 {
		fmt.Fprintln(out, "all nodes can hear of each other")
	}
	for i, g := range p.Groups {
		fmt.Fprintf(out, "side %d: %s\n", i+1, strings.Join(g, ", "))
	}
	return nil
}

func logsCommand(tools dreamland.Tools) *cobra.Command {
	cmd := &cobra.Command{Use: "logs [JOB]", Args: cobra.MaximumNArgs(1), Short: "The log of a job, by default of the newest one, or with --function what a function says; exit status 1 if the job has failed",
		Example: "  dreamland logs\n  dreamland logs -f JOB\n  dreamland logs -f --function shop/orders"}
	a := newAsking(tools, cmd)
	follow := cmd.Flags().BoolP("follow", "f", false, "until the job has ended; with --function until it is interrupted")
	project := cmd.Flags().String("project", "", "the newest job of this project")
	function := cmd.Flags().String("function", "", "what this function says on standard error or by console.log, and its errors: PROJECT/NAME, or NAME where there is one project")
	branch := cmd.Flags().String("branch", production, "with --function: as this branch has it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case *function != "" && len(args) > 0:
			return errors.New("--function: expected without a job")
		case *function == "" && cmd.Flags().Changed("branch"):
			return errors.New("--branch: expected with --function")
		}
		c, err := a.client()
		if err != nil {
			return fail(cmd, tools, err)
		}
		if *function != "" {
			return a.tellSaid(cmd, c, saidIn{Project: *project, Branch: *branch, Function: *function, Follow: *follow})
		}
		job := ""
		if len(args) > 0 {
			job = args[0]
		} else if job, err = newest(cmd.Context(), c, *project); err != nil {
			return fail(cmd, tools, err)
		}
		return a.tellLog(cmd, c, job, *follow)
	}
	return cmd
}

func newest(ctx context.Context, c *client, project string) (string, error) {
	var list []taulive.Job
	if err := c.ask(ctx, "builds", url.Values{"project": {project}}, nil, &list); err != nil {
		return "", err
	}
	switch {
	case len(list) == 0 && project != "":
		return "", fmt.Errorf("there is no project %.64q: dreamland builds lists those that were pushed", project)
	case len(list) == 0:
		return "", errors.New("there is no job yet: git push, or dreamland push DIR")
	}
	return list[0].Job, nil
}

func (a *asking) tellLog(cmd *cobra.Command, c *client, job string, follow bool) error {
	q, last, out, told := url.Values{}, LogLine{}, cmd.OutOrStdout(), ending{}
	if follow {
		q.Set("follow", "true")
	}
	err := c.each(cmd.Context(), "builds/"+url.PathEscape(job)+"/log", q, func(line []byte) error {
		last = LogLine{}
		if err := json.Unmarshal(line, &last); err != nil {
			return err
		}
		var err error
		switch {
		case a.json:
			_, err = fmt.Fprintf(out, "%s\n", line)
		case last.Status != "" || last.Error != "":
			for _, line := range told.rest(last.Status, last.Error) {
				fmt.Fprintln(out, strings.TrimPrefix(plainText(line), ": "))
			}
		default:
			told.hear(last.Line)
			_, err = fmt.Fprintln(out, plainText(last.Line))
		}
		return err
	})
	if err == nil && last.Error != "" {
		return a.tools.Failed
	}
	return fail(cmd, a.tools, err)
}

func downCommand(tools dreamland.Tools) *cobra.Command {
	inJSON := false
	cmd := &cobra.Command{Use: "down [NAME]", Args: cobra.MaximumNArgs(1), Short: "End a universe in order; what it has stays, unless it is ephemeral", Example: "  dreamland down\n  dreamland down shop"}
	cmd.Flags().BoolVar(&inJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := theUniverse(append(args, "")[0])
		if err != nil {
			return err
		}
		c, err := reach(p)
		if err != nil {
			return fail(cmd, tools, err)
		}
		ctx, cancel := within(cmd.Context())
		defer cancel()
		var r Running
		if err := c.ask(ctx, "down", nil, struct{}{}, &r); err != nil {
			return fail(cmd, tools, err)
		}
		for end := time.Now().Add(time.Minute); p.taken(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				return fail(cmd, tools, fmt.Errorf("universe %s has not ended within a minute: its log: %s; kill -9 %d ends it, and what it has acknowledged is kept", p.name(), p.log(), r.PID))
			}
		}
		if inJSON {
			return printJSON(cmd.OutOrStdout(), r)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "universe %s is down\n", p.name())
		return err
	}
	return cmd
}

func cleanCommand(tools dreamland.Tools) *cobra.Command {
	inJSON := false
	cmd := &cobra.Command{Use: "clean NAME", Args: cobra.ExactArgs(1), Short: "Remove all that a universe has: its repositories, too. It must not run", Example: "  dreamland clean default"}
	cmd.Flags().BoolVar(&inJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := placeOf(args[0])
		if err != nil {
			return err
		}
		if !exists(p.dir) {
			return fail(cmd, tools, fmt.Errorf("there is no universe %s: nothing to remove", p.name()))
		}
		unlock, err := p.take()
		if errors.Is(err, errRuns) {
			return fail(cmd, tools, fmt.Errorf("universe %s runs: dreamland down %[1]s ends it", p.name()))
		}
		if err != nil {
			return fail(cmd, tools, err)
		}
		defer unlock()
		if err := p.remove(); err != nil {
			return fail(cmd, tools, err)
		}
		if inJSON {
			return printJSON(cmd.OutOrStdout(), map[string]string{"removed": p.dir})
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", p.dir)
		return err
	}
	return cmd
}
