package up

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/taucloud/tau/cmdline"
	"github.com/taucloud/tau/dreamland"
)

// Finding is one thing that the doctor has looked at.
type Finding struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	// Warning: it is not wrong for all that there is to do.
	Warning bool   `json:"warning,omitempty"`
	Is      string `json:"is"`
	// Do is what to do about it.
	Do string `json:"do,omitempty"`
}

func (f Finding) word() string {
	switch {
	case !f.OK:
		return "WRONG"
	case f.Warning:
		return "warning"
	}
	return "ok"
}

func doctorCommand(tools dreamland.Tools) *cobra.Command {
	cmd := &cobra.Command{Use: "doctor", Args: cobra.NoArgs, Short: "Look at what a universe needs, and at the universe; exit status 1 if something is wrong"}
	a := newAsking(tools, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := theUniverse(a.universe)
		if err != nil {
			return err
		}
		list := append([]Finding{findGit(), findRoom(p), findPlan(p)}, findBuilds(cmd.Context(), p)...)
		list = append(list, findRunning(cmd, p)...)
		wrong := false
		for _, f := range list {
			wrong = wrong || !f.OK
		}
		if a.json {
			err = printJSON(cmd.OutOrStdout(), list)
		} else {
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			for _, f := range list {
				fmt.Fprintf(t, "%s\t%s\t%s\n", f.word(), f.What, strings.TrimSuffix(f.Is+": "+f.Do, ": "))
			}
			err = t.Flush()
		}
		if err == nil && wrong {
			return tools.Failed
		}
		return err
	}
	return cmd
}

func findGit() Finding {
	out, err := exec.Command("git", "--version").Output()
	if err != nil {
		return Finding{What: "git", OK: false, Is: err.Error(), Do: "install it, such as apt-get install git"}
	}
	return Finding{What: "git", OK: true, Is: strings.TrimSpace(string(out))}
}

// roomMin is how much a universe should have on its file system, in bytes.
const roomMin = 512 << 20

func findRoom(p place) Finding {
	dir := p.dir
	for !exists(dir) {
		dir = dir[:max(1, strings.LastIndexByte(dir, os.PathSeparator))]
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Finding{What: "disk", OK: false, Is: err.Error(), Do: "see to it that " + dir + " can be read"}
	}
	room := st.Bavail * uint64(st.Bsize)
	f := Finding{What: "disk", OK: room >= roomMin, Is: fmt.Sprintf("%d MiB free for %s", room>>20, p.dir)}
	if !f.OK {
		f.Do = "make room: below 16 MiB the nodes refuse what is new"
	}
	return f
}

func findPlan(p place) Finding {
	pl, err := readPlan(p)
	switch {
	case err != nil:
		return Finding{What: "plan", OK: false, Is: err.Error()}
	case pl == nil:
		return Finding{What: "plan", OK: true, Is: "there is no universe " + p.name() + " yet", Do: "dreamland up " + p.name()}
	}
	for _, file := range []string{p.token(), p.cloudKey()} {
		if err := forOneself(file); err != nil && exists(file) {
			return Finding{What: "secrets", OK: false, Is: err.Error()}
		}
	}
	if p.taken() {
		return Finding{What: "plan", OK: true, Is: fmt.Sprintf("%d nodes", len(pl.Nodes))}
	}
	for flag, port := range map[string]int{"http-port": pl.HTTP, "admin-port": pl.Admin, "git-port": pl.Git} {
		if !cmdline.Free(port) {
			return Finding{What: "ports", OK: false, Is: fmt.Sprintf("another process has the port %d", port), Do: "stop it, or choose another one with dreamland up --" + flag}
		}
	}
	return Finding{What: "plan", OK: true, Is: fmt.Sprintf("%d nodes, its ports are free", len(pl.Nodes))}
}

func findRunning(cmd *cobra.Command, p place) []Finding {
	c, err := reach(p)
	if err != nil {
		return []Finding{{What: "universe", OK: true, Is: err.Error()}}
	}
	ctx, cancel := within(cmd.Context())
	defer cancel()
	var s Status
	if err := c.ask(ctx, "status", nil, nil, &s); err != nil {
		return []Finding{{What: "universe", Is: err.Error(), Do: "its log: " + p.log()}}
	}
	var list []Finding
	for _, n := range s.Members {
		f := Finding{What: "node " + n.Name, OK: n.State == stateUp && n.Why == "", Is: n.State}
		if n.Why != "" {
			f.Is += ": " + n.Why
		}
		if !f.OK {
			f.Do = "its log: " + n.Log
		}
		if n.State == stateDown || n.State == statePaused || n.State == stateFailed {
			f.Do = "dreamland start " + n.Name + "; " + f.Do
		}
		list = append(list, f)
	}
	if len(s.Partition) > 0 {
		list = append(list, Finding{What: "network", OK: false, Is: "there is a partition", Do: "dreamland heal"})
	}
	return list
}

var errNoGit = errors.New("there is no git on this machine: install it, such as apt-get install git")
