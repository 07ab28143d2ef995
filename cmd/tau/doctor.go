package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/storage/pebbledisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/libp2p"
	"github.com/taucloud/tau/transport/membership"
)

const (
	// filesWanted is how many files a node should be allowed to have open: a connection is one.
	filesWanted = 8192
	// certificateSoon is how long before its end an auth's certificate is complained of: nothing renews it by itself.
	certificateSoon = 60 * 24 * time.Hour
	dialTimeout     = 3 * time.Second
)

// finding is what the doctor has to say of one thing.
type finding struct {
	Check string `json:"check"`
	// State is "ok", "warning" or "bad".
	State  string `json:"state"`
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"`
}

// states are those of findings, the worst first.
var states = []string{"bad", "warning", "ok"}

// doctor looks at one node from the machine that it runs on.
type doctor struct {
	where
	cmd      *cobra.Command
	paths    shape.Paths
	running  bool
	hung     bool // it runs, and does not answer
	findings []finding
}

func (d *doctor) ok(check, format string, args ...any) {
	d.findings = append(d.findings, finding{check, "ok", fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(check, remedy, format string, args ...any) {
	d.findings = append(d.findings, finding{check, "warning", fmt.Sprintf(format, args...), remedy})
}

func (d *doctor) bad(check, remedy, format string, args ...any) {
	d.findings = append(d.findings, finding{check, "bad", fmt.Sprintf(format, args...), remedy})
}

func doctorCommand() *cobra.Command {
	var d doctor
	cmd := &cobra.Command{
		Use: "doctor", Args: cobra.NoArgs, Short: "Look for what is wrong with a node and its machine, and say what to do about it",
		Long:    "Looks at the configuration, clock, limits, ports, disk and certificate, and, of a node that runs, at who it reaches. Exit status 1 if something is bad.",
		Example: "  tau doctor -s compute --deep",
	}
	d.flags(cmd)
	inJSON := asJSON(cmd)
	verbose := cmd.Flags().Bool("verbose", false, "list the limits that the node keeps, too")
	deep := cmd.Flags().Bool("deep", false, "read all that is on the disk and verify it; that takes as long as the disk takes")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d.cmd, d.paths, d.findings = cmd, shape.PathsOf(d.root, d.shape), []finding{}
		d.running = d.runs()
		if s := d.configuration(); s != nil {
			d.machine()
			d.limits(s)
			d.ports(s)
			d.disk(s)
			d.expected()
			d.certificate(s)
			d.members(s)
			d.builds(s)
			if *deep && !d.hung {
				d.deep()
			}
		}
		return d.report(*inJSON, *verbose)
	}
	return cmd
}

// report tells what is bad first, then what is to be noticed. JSON has all of it.
func (d *doctor) report(inJSON, verbose bool) error {
	out, bad := d.cmd.OutOrStdout(), false
	slices.SortStableFunc(d.findings, func(a, b finding) int { return slices.Index(states, a.State) - slices.Index(states, b.State) })
	for _, f := range d.findings {
		if !inJSON && !verbose && f.Check == "limits" && f.State == "ok" {
			continue
		}
		bad = bad || f.State == "bad"
		if !inJSON {
			fmt.Fprintf(out, "%-8s %-13s %s\n", f.State, f.Check, f.What)
		}
		if !inJSON && f.Remedy != "" {
			fmt.Fprintf(out, "%-8s %-13s -> %s\n", "", "", f.Remedy)
		}
	}
	if inJSON {
		if err := printJSON(out, d.findings); err != nil {
			return err
		}
	}
	if bad {
		return failure{errTold}
	}
	return nil
}

func (d *doctor) configuration() *shape.Shape {
	s, err := shape.Load(d.paths.Config)
	if err != nil {
		d.bad("configuration", "tau config validate "+d.paths.Flags()+" says all that is wrong with it", "%v", err)
		return nil
	}
	d.ok("configuration", "%s", d.paths.Config)
	for _, path := range []string{d.paths.Config, d.paths.Certificate} {
		if othersMayRead(path) {
			d.bad("configuration", "chmod 600 "+path, "others may read %s", path)
		}
	}
	if _, err := os.Stat(d.paths.CloudKey); err == nil {
		d.warn("configuration", "move it to a safe place: no node needs it", "the cloud's key is on this machine, in %s", d.paths.CloudKey)
	}
	return s
}

// machine is the clock and what the process may use.
func (d *doctor) machine() {
	var timex unix.Timex
	state, err := unix.Adjtimex(&timex)
	switch {
	case err != nil:
		d.warn("clock", "look whether it is right: members' clocks may differ by 5 minutes", "it is not known whether it is synchronized: %v", err)
	case state == unix.TIME_ERROR || timex.Status&unix.STA_UNSYNC != 0:
		d.warn("clock", "run chrony, ntpd or systemd-timesyncd: from 5 minutes on, certificates do not count", "nothing synchronizes it")
	default:
		d.ok("clock", "it is synchronized")
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil && files.Cur < filesWanted {
		d.warn("limits", fmt.Sprintf("ulimit -n %d, or LimitNOFILE in the unit (tau config systemd has it)", filesWanted), "a process started here may open %d files; a large cloud takes %d", files.Cur, filesWanted)
	} else if err == nil {
		d.ok("limits", "%d files", files.Cur)
	}
}

// limits are those that a node keeps by itself, so that nobody has to guess why something is refused.
func (d *doctor) limits(s *shape.Shape) {
	for _, l := range libp2p.Limits() {
		d.ok("limits", "%s: %s", l.Of, l.Is)
	}
	if reserve, err := shape.ParseSize(s.DiskReserve); err == nil {
		d.ok("limits", "disk: %s", pebbledisk.Limits(reserve))
	}
	memory := "none (GOMEMLIMIT sets one)"
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		memory = fmt.Sprintf("%d MiB, as GOMEMLIMIT says here", limit>>20)
	}
	d.ok("limits", "memory of Go: %s; garbage up to %d %% of what is used (GOGC)", memory, garbagePercent)
	d.ok("limits", "what is kept to show: %d warnings, %d facts", live.WarningsMax, live.FactsMax)
}

func (d *doctor) ports(s *shape.Shape) {
	if d.running {
		d.ok("ports", "the node has them")
	}
	for _, text := range s.Listen {
		if d.running {
			break
		}
		if what, hint := live.TryListen(text); what != "" {
			d.bad("ports", hint, "%s", what)
		} else {
			d.ok("ports", "%s is free", text)
		}
	}
	for _, text := range s.Announce {
		if why := dial(text); d.running && why != nil {
			d.warn("ports", "look at firewalls, and at the router's port forwarding; some routers only keep this machine itself from it", "%s, which others are told of, is not reached from here: %v", text, why)
		}
	}
}

// dial connects over TCP; what is no TCP address is not tried.
func dial(text string) error {
	a, err := multiaddr.NewMultiaddr(text)
	if err != nil {
		return err
	}
	network, address, err := manet.DialArgs(a)
	if err != nil || network[:3] != "tcp" {
		return nil
	}
	conn, err := net.DialTimeout(network, address, dialTimeout)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (d *doctor) certificate(s *shape.Shape) {
	remedy := "tau certify " + d.paths.Flags() + " --cloud-key FILE gives it one; or remove the certificate and set an invitation (tau invite)"
	if d.running {
		var st live.Status
		if err := d.ask(d.cmd, "status", nil, nil, &st); err != nil {
			d.hung = errors.Is(err, errHangs)
			d.bad("node", "its log says what it does", "it runs and does not answer: %v", err)
			return
		}
		if st.Stranger != "" {
			d.bad("membership", live.StrangerRemedy, "others do not take this node for a member: %s", st.Stranger)
		} else {
			d.ok("membership", "others take it for a member, as far as it knows")
		}
		if !st.Ready {
			d.bad("node", "its log says more", "it is not ready: %v", st.NotReady)
		} else {
			d.ok("node", "it is ready, up %s", st.Up)
		}
		d.until(st.Until, st.Issuer, remedy)
		return
	}
	d.warn("node", fmt.Sprintf("tau start -s %s --root %s", d.shape, d.root), "it does not run")
	raw, err := os.ReadFile(d.paths.Certificate)
	if err != nil && s.Invitation != "" {
		d.invitation(s)
		return
	}
	var p membership.Presented
	if err == nil {
		err = transport.Decode(raw, &p)
	}
	says, opened := p.Says()
	if err = errors.Join(err, opened); err != nil {
		d.bad("certificate", remedy, "there is none that can be read: %v", err)
		return
	}
	if own := s.Identity().Peer(); says.Subject != own || says.Cloud != s.Network {
		d.bad("certificate", "bring the privatekey or the certificate back that belong together; or "+remedy,
			"%s is of %s in %s, and the privatekey in %s is that of %s in %s: the node does not start", d.paths.Certificate, says.Subject, says.Cloud, d.paths.Config, own, s.Network)
		return
	}
	d.until(time.Unix(says.NotAfter, 0), len(says.Issues) > 0, remedy)
}

// invitation is by what a node without a certificate joins. Whether it was used up know those alone who honour it.
func (d *doctor) invitation(s *shape.Shape) {
	another := "ask for another (tau invite), and set invitation in " + d.paths.Config
	ticket, err := membership.ParseTicket(s.Invitation)
	if err != nil {
		d.bad("invitation", another, "%v", err)
		return
	}
	i, err := membership.OpenInvitation(ticket.Invitation)
	end := time.Unix(i.NotAfter, 0).UTC().Format(time.DateTime)
	refused := live.LastRefused(d.paths, s.Invitation)
	switch {
	case err != nil:
		d.bad("invitation", another, "%v", err)
	case refused != nil:
		d.bad("invitation", another, "it was refused at %s UTC, when the node was started: %s", refused.At.Format(time.DateTime), refused.Text)
	case time.Now().Unix() > i.NotAfter:
		d.bad("invitation", another, "it has ended at %s UTC: the node has no certificate, and does not come into the cloud", end)
	case dialAny(addressesIn(ticket)) != nil:
		d.warn("invitation", "look whether the node is up that made it, and at firewalls in between", "it counts until %s UTC, and no auth is reached that honours it: %v", end, dialAny(addressesIn(ticket)))
	default:
		d.ok("invitation", "the node joins by it, which counts until %s UTC for %s; only the auths that honour it know whether they have come", end, counted(int(i.Uses), "node"))
	}
}

// addressesIn are where those are who honour an invitation.
func addressesIn(t membership.Ticket) (list []string) {
	for _, c := range t.Contacts() {
		list = append(list, c.Addresses...)
	}
	return list
}

// expected is whether the disk is the one that the node had: another, or none, keeps it from starting.
func (d *doctor) expected() {
	if d.running {
		return
	}
	if err := live.ExpectDisk(d.paths, false); err != nil {
		d.bad("disk", "mount the disk that the node had; what else can be done is said before", "the node does not start: %v", err)
	}
}

func (d *doctor) until(end time.Time, issuer bool, remedy string) {
	left, day := time.Until(end), end.UTC().Format(time.DateOnly)
	switch {
	case end.Unix() <= 0 || left < 0:
		d.bad("certificate", remedy, "the node has none that counts")
	case issuer && left < certificateSoon:
		d.warn("certificate", remedy, "it ends on %s, and only the cloud's key renews that of an auth", day)
	default:
		d.ok("certificate", "it counts until %s", day)
	}
}

// members are those that the node knows, and that it reaches.
func (d *doctor) members(s *shape.Shape) {
	if !d.running || d.hung {
		return
	}
	var list []live.Peer
	if err := d.ask(d.cmd, "peers", nil, nil, &list); err != nil {
		d.bad("members", "its log says what it does", "the node does not say whom it knows: %v", err)
		return
	}
	if len(list) == 0 && len(s.Peers) > 0 {
		d.bad("members", "look at the addresses in peers, and at firewalls in between", "it knows nobody, and was told of %d members", len(s.Peers))
		return
	}
	if len(list) == 0 {
		d.warn("members", "invite others: what is on one disk is lost with it", "it is alone")
		return
	}
	for _, p := range list {
		if p.Alive != nil && !*p.Alive {
			d.warn("members", "start it; if it never comes back, on a node that runs auth: tau revoke "+p.Peer+" -s SHAPE --yes", "%s is not alive", p.Name)
		} else if why := dialAny(p.Addresses); why != nil {
			d.warn("members", "look at firewalls in between, and at its p2p-announce", "%s is not reached from here over TCP: %v", p.Name, why)
		} else {
			d.ok("members", "%s is reached", p.Name)
		}
	}
}

// dialAny is nil if one of several addresses answers.
func dialAny(addresses []string) (why error) {
	for _, a := range addresses {
		if why = dial(a); why == nil {
			return nil
		}
	}
	return why
}
