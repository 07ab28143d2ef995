package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// overlapMin is how long a key counts at least after another one took its place: members renew meanwhile.
const overlapMin = time.Hour

// rotateFlags are of a rotation.
type rotateFlags struct {
	where
	cloudKey, newKey string
	overlap          time.Duration
	now, yes, inJSON bool
}

// rotated is what came of one, as JSON.
type rotated struct {
	File   string    `json:"file"`
	Key    string    `json:"cloud-key"`
	Until  time.Time `json:"old-key-until"`
	Copies int       `json:"copies"`
	Auths  []string  `json:"auths"`
}

func rotateCommand() *cobra.Command {
	var r rotateFlags
	cmd := &cobra.Command{
		Use: "rotate", Args: cobra.NoArgs, Short: "Replace the key of the cloud: the new one is written to a file, and signed by the old one",
		Long: `Makes a new key of the cloud, has the old one say so, and gives a certificate by the new one to each auth that may sign others and is known here.
Members hear of it from each other. What the old key has signed counts for --overlap longer, in which everybody renews; if the old key was
stolen, --now: it counts for nothing from then on, and members whose certificates hang on it are strangers until an auth has renewed
them. A node that is down learns of the new key from the first member that it meets, so configurations may go on naming the old one.`,
		Example: "  tau rotate -s one --cloud-key /safe/cloud.key --new-key /safe/cloud-2.key --yes",
	}
	r.asking(cmd, waitFor)
	f := cmd.Flags()
	f.StringVar(&r.cloudKey, "cloud-key", "", "the file of the key that is replaced")
	f.StringVar(&r.newKey, "new-key", "", "the file to write the new one to; it must not be there")
	f.DurationVar(&r.overlap, "overlap", 30*24*time.Hour, "how long the old key's signatures count")
	f.BoolVar(&r.now, "now", false, "no overlap: the old key was stolen")
	yes, inJSON := sure(cmd), asJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		r.yes, r.inJSON = *yes, *inJSON
		return r.run(cmd)
	}
	return cmd
}

// check says what is wrong with the flags.
func (r *rotateFlags) check() error {
	switch _, err := os.Lstat(r.newKey); {
	case r.cloudKey == "" || r.newKey == "":
		return errors.New("--cloud-key, --new-key: expected the file of the old key, and where the new one is to be")
	case err == nil:
		return fmt.Errorf("--new-key: %s is there: nothing is overwritten", r.newKey)
	case !r.now && (r.overlap < overlapMin || r.overlap > membership.ValidityMax):
		return fmt.Errorf("--overlap %s: expected %s to %s, in which members renew, or --now", r.overlap, overlapMin, membership.ValidityMax)
	case !r.yes:
		return errors.New("--yes: expected, since a key that was replaced never comes back")
	}
	return nil
}

func (r *rotateFlags) run(cmd *cobra.Command) error {
	if err := r.check(); err != nil {
		return err
	}
	s, err := r.load()
	if err != nil {
		return err
	}
	old, err := readCloudKey(r.cloudKey)
	if err != nil {
		return err
	}
	if err := old.belongs(r.cloudKey, s); err != nil {
		return err
	}
	var issuers []live.Issuer
	if err := r.ask(cmd, "issuers", nil, nil, &issuers); err != nil {
		return err
	}
	secret := newSecret()
	raw, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		return failure{err}
	}
	key, until := transport.NewIdentity(raw), time.Now()
	if !r.now {
		until = until.Add(r.overlap)
	}
	rotation := membership.Rotate(old.Identity, membership.Rotation{Cloud: s.Network, To: key.Peer(), Until: until.Unix()})
	req, done := live.RotateRequest{Rotation: transport.Encode(rotation)}, rotated{File: r.newKey, Key: key.Peer().String(), Until: until.UTC().Truncate(time.Second), Auths: []string{}}
	for _, i := range issuers {
		peer, err := transport.ParsePeer(i.Peer)
		if err != nil {
			return failure{err}
		}
		signed, err := issue(key, s.Network, peer, i.Name, i.Services)
		if err != nil {
			return failure{err}
		}
		req.Issuers, done.Auths = append(req.Issuers, transport.Encode(signed)), append(done.Auths, i.Name)
	}
	// Before anybody hears of it: a cloud whose key nobody has is lost.
	if err := writeNew(r.newKey, cloudKeyText(secret, append(old.rotations, rotation))); err != nil {
		return err
	}
	var resp live.RotateResponse
	if err := r.ask(cmd, "rotate", req, nil, &resp); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "tau: %s was written: remove it if no node says that its cloud-key is %s (tau status --json); another try takes another file\n", r.newKey, done.Key)
		return err
	}
	done.Copies = resp.Copies
	if r.inJSON {
		return printJSON(cmd.OutOrStdout(), done)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "wrote %s: whoever has it owns the cloud: move it to a safe place\nthe cloud's key is %s now; that is durable on %s, and %s got a certificate by it\nwhat the old key has signed counts until %s UTC\n",
		r.newKey, done.Key, counted(done.Copies, "auth"), counted(len(done.Auths), "auth"), done.Until.Format(time.DateTime))
	return nil
}
