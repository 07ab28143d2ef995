package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// TestTheDoctorKnowsAnInvitationThatHasEnded: the node waits for the cloud for ever, or is refused.
func TestTheDoctorKnowsAnInvitationThatHasEnded(t *testing.T) {
	cloud, secret := transport.NewIdentity([]byte("cloud")), []byte("secret")
	for state, ends := range map[string]time.Duration{"bad": -time.Hour, "warning": time.Hour} { // nobody is there to be reached
		i, err := membership.Invite(cloud, membership.Invitation{Cloud: "cloud.example.com", Key: transport.NewIdentity(secret).Peer(),
			Services: []string{"monkey"}, Uses: 1, AdmittedBy: cloud.Peer(), NotAfter: time.Now().Add(ends).Unix()})
		require.NoError(t, err)
		ticket := membership.Ticket{Invitation: i, Secret: secret, CloudKey: cloud.Peer(), Addresses: []string{"/ip4/127.0.0.1/tcp/1"}}
		d := doctor{paths: shape.PathsOf(t.TempDir(), "main")}
		d.invitation(&shape.Shape{Invitation: ticket.Text()})
		require.Len(t, d.findings, 1)
		require.Equal(t, state, d.findings[0].State, d.findings[0].What)
		require.NotEmpty(t, d.findings[0].Remedy)
	}
}

// TestTheDoctorKnowsARefusedInvitation: that it was used up know those alone who honour it, and who was told so.
func TestTheDoctorKnowsARefusedInvitation(t *testing.T) {
	t.Parallel()
	o := &operator{t, t.TempDir()}
	o.must("", "config", "generate", "-n", "cloud.example.com", "--protos", "all", "--p2p-port", "0", "-s", "one")
	one := o.start("one")
	o.ready("one", 0)
	ticket := o.must("", "invite", "-s", "one", "--services", "monkey")
	for _, shape := range []string{"two", "three"} {
		o.must(ticket, "config", "generate", "--invite", "-", "--p2p-port", "0", "-s", shape)
	}
	o.start("two")
	o.ready("two", 0)
	three := o.start("three")
	require.Error(t, three.cmd.Wait(), "it has come for one node")
	require.Contains(t, three.log.String(), "the invitation is not accepted, ask for another")
	out, err := exec.Command("tau", "doctor", "-s", "three", "--root", o.root).Output()
	require.Error(t, err)
	require.Regexp(t, `bad +invitation +it was refused at .*: .*used up`, string(out))
	require.NoError(t, one.cmd.Process.Kill())
}

// TestRemediesCanBeTyped: a command that is printed for what is wrong is one that there is, with flags that it has.
func TestRemediesCanBeTyped(t *testing.T) {
	var out, complaint bytes.Buffer
	require.Equal(t, exitFailed, run([]string{"doctor", "--root", t.TempDir()}, strings.NewReader(""), &out, &complaint))
	_, typed, found := strings.Cut(out.String(), "-> tau ")
	require.True(t, found, out.String())
	typed, _, _ = strings.Cut(typed, " says")
	out.Reset()
	run(strings.Fields(typed), strings.NewReader(""), &out, &complaint)
	require.Contains(t, complaint.String(), "tau config generate makes one", "it is read, and says what is wrong: %s", typed)
	require.NotContains(t, complaint.String(), "unknown")
}

// TestTheDoctorBeginsWithWhatIsWrong; the limits that a node keeps are for who asks for them.
func TestTheDoctorBeginsWithWhatIsWrong(t *testing.T) {
	var out bytes.Buffer
	d := doctor{cmd: &cobra.Command{}}
	d.cmd.SetOut(&out)
	d.ok("limits", "12 streams")
	d.ok("clock", "it is right")
	d.warn("node", "start it", "it does not run")
	d.bad("disk", "mount it", "it is not there")
	require.ErrorIs(t, d.report(false, false), errTold)
	require.Regexp(t, `(?s)^bad .*warning .*ok .*clock`, out.String())
	require.NotContains(t, out.String(), "12 streams")
	out.Reset()
	require.Error(t, d.report(false, true))
	require.Contains(t, out.String(), "12 streams")
	out.Reset()
	require.Error(t, d.report(true, false))
	require.Contains(t, out.String(), "12 streams", "JSON is whole")
}
