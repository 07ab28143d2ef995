package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mr-tron/base58"
	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// certificatePrefix begins a certificate as text. It is no secret.
const certificatePrefix = "tau-certificate-"

func (w *where) load() (*shape.Shape, error) {
	return shape.Load(shape.PathsOf(w.root, w.shape).Config)
}

// certifyFlags say for whom a certificate is, or where it is from.
type certifyFlags struct {
	where
	cloudKey, install string
	peer, name        string
	services          []string
}

func certifyCommand() *cobra.Command {
	var c certifyFlags
	cmd := &cobra.Command{
		Use: "certify", Args: cobra.NoArgs, Short: "Give a node a certificate that the cloud's key signs: renew that of an auth, or let it sign others",
		Long: `A certificate that the cloud's key has signed counts for 400 days and, if the node may run auth, lets it invite and renew others. The
first node has one; auths that came by an invitation get theirs so. Where the cloud's key is and the node is not, name the node: the
certificate is printed, and installed there with --install. A node that runs takes it over at once. A key that was revoked gets none, as
far as the node that runs here knows: it never comes back.`,
		Example: `  tau certify -s one --cloud-key /safe/cloud.key
  tau certify -s one --cloud-key /safe/cloud.key --peer 12D3KooW... --name two --services auth,seer | ssh two tau certify -s main --install -`,
	}
	c.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&c.cloudKey, "cloud-key", "", "the file of the cloud's key")
	f.StringVar(&c.install, "install", "", "a file with a printed certificate, - for standard input")
	f.StringVar(&c.peer, "peer", "", "the key of another node (tau status shows it), whose certificate is printed")
	f.StringVar(&c.name, "name", "", "that node's name")
	f.StringSliceVar(&c.services, "services", nil, "what that node may run")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.run(cmd) }
	return cmd
}

func (c *certifyFlags) run(cmd *cobra.Command) error {
	s, err := c.load()
	if err != nil {
		return err
	}
	switch {
	case (c.cloudKey == "") == (c.install == ""):
		return errors.New("expected --cloud-key FILE, or --install FILE")
	case c.install != "":
		p, err := readInstalled(c.install, cmd.InOrStdin())
		if err != nil {
			return err
		}
		if err := vouched(s, p, time.Now()); err != nil {
			return fmt.Errorf("--install: %w", err)
		}
		return c.put(cmd, s, p)
	case c.peer != "":
		peer, err := transport.ParsePeer(c.peer)
		if err != nil {
			return fmt.Errorf("--peer: %q is no peer: tau status of that node shows it", c.peer)
		}
		if len(c.services) == 0 || c.name == "" {
			return errors.New("--name, --services: expected those of the node that --peer names")
		}
		services, err := chosen(c.services, shape.ServiceNames())
		if err != nil {
			return err
		}
		if err := c.refuseRevoked(cmd, peer); err != nil {
			return err
		}
		p, err := c.sign(s, peer, c.name, services)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), certificatePrefix+base58.Encode(transport.Encode(p)))
		return err
	}
	p, err := c.sign(s, s.Identity().Peer(), s.Name, s.Services)
	if err != nil {
		return err
	}
	return c.put(cmd, s, p)
}

// vouched says why others would not believe a certificate of this node: it is another's, the cloud's key that the
// configuration names is not behind it, or it does not count now.
func vouched(s *shape.Shape, p membership.Presented, now time.Time) error {
	key, err := transport.ParsePeer(s.CloudKey)
	if err != nil {
		return fmt.Errorf("cloud-key of the configuration: %w", err)
	}
	trust := membership.NewTrust(s.Network, key)
	for _, rotation := range p.Rotations {
		_ = trust.Apply(rotation) // one that does not count changes nothing
	}
	if _, err := membership.Verify(p, s.Identity().Peer(), trust, nil, now); err != nil {
		return fmt.Errorf("the certificate does not count for this node, %s in %s, whose cloud's key is %s: %w", s.Identity().Peer(), s.Network, s.CloudKey, err)
	}
	return nil
}

// sign makes a certificate by the cloud's key.
func (c *certifyFlags) sign(s *shape.Shape, subject transport.Peer, name string, services []string) (p membership.Presented, err error) {
	key, err := readCloudKey(c.cloudKey)
	if err != nil {
		return p, err
	}
	if err := key.belongs(c.cloudKey, s); err != nil {
		return p, err
	}
	signed, err := issue(key.Identity, s.Network, subject, name, services)
	return membership.Presented{Certificate: signed, Rotations: key.rotations}, err
}

// issue signs a certificate for as long as one counts. One for auth lets it sign others.
func issue(key transport.Identity, cloud string, subject transport.Peer, name string, services []string) (membership.Signed, error) {
	begins := time.Now().Add(-membership.SkewMax)
	certificate := membership.Certificate{
		Cloud: cloud, Serial: uint64(begins.UnixNano()), Subject: subject, Name: name, Services: slices.Sorted(slices.Values(services)),
		NotBefore: begins.Unix(), NotAfter: begins.Add(membership.ValidityMax).Unix(),
	}
	if slices.Contains(services, "auth") {
		certificate.Issues = slices.Sorted(slices.Values(shape.ServiceNames()))
	}
	return membership.Issue(key, certificate)
}

// put writes a certificate of this node, and tells it if it runs.
func (c *certifyFlags) put(cmd *cobra.Command, s *shape.Shape, p membership.Presented) error {
	says, err := p.Says()
	switch {
	case err != nil:
		return err
	case says.Cloud != s.Network || says.Subject != s.Identity().Peer():
		return fmt.Errorf("the certificate is of %s in %s, not of this node, %s in %s", says.Subject, says.Cloud, s.Identity().Peer(), s.Network)
	}
	for _, service := range s.Services {
		if !slices.Contains(says.Services, service) {
			return fmt.Errorf("the certificate does not let this node run %s: it allows %s", service, strings.Join(says.Services, ", "))
		}
	}
	if err := c.refuseRevoked(cmd, says.Subject); err != nil {
		return err
	}
	paths := shape.PathsOf(c.root, c.shape)
	if err := live.WriteFile(paths.Certificate, transport.Encode(p)); err != nil {
		return failure{err}
	}
	took := "it counts from the next start on"
	if c.runs() {
		if err := c.ask(cmd, "certificate", struct{}{}, nil, &struct{}{}); err != nil {
			return err
		}
		took = "the node shows it now"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "wrote %s, which counts until %s: %s\n", paths.Certificate, time.Unix(says.NotAfter, 0).UTC().Format(time.DateOnly), took)
	return nil
}

// refuseRevoked refuses if the node that runs here knows that a member was revoked. A certificate would half revive it: its own
// word counts again with whoever only looks at that, and seers and auths, for whom a revoked key never comes back, go on
// refusing it.
func (c *certifyFlags) refuseRevoked(cmd *cobra.Command, peer transport.Peer) error {
	var resp live.RevokedResponse
	if c.askOnce(cmd.Context(), c.client(), "revoked", nil, live.RevokedRequest{Peer: peer.String()}, &resp) == nil && resp.Revoked {
		return failure{fmt.Errorf("%s was revoked, which no certificate undoes: %s", peer, live.StrangerRemedy)}
	}
	return nil
}

func readInstalled(path string, stdin io.Reader) (p membership.Presented, err error) {
	var raw []byte
	if path == "-" {
		raw, err = io.ReadAll(io.LimitReader(stdin, 64<<10))
	} else {
		raw, err = os.ReadFile(path)
	}
	if err != nil {
		return p, fmt.Errorf("--install: %w", err)
	}
	body, found := strings.CutPrefix(strings.TrimSpace(string(raw)), certificatePrefix)
	decoded, err := base58.Decode(body)
	if err != nil || !found || transport.Decode(decoded, &p) != nil {
		return p, fmt.Errorf("--install: %s is no certificate: tau certify --peer prints one, which begins with %s", path, certificatePrefix)
	}
	return p, nil
}
