package node

import (
	"errors"
	"fmt"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/localkv"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/credentials"
	"github.com/taucloud/tau/transport/membership"
)

// Membership is what a node knows of its cloud without asking: its name and key, and
// the certificate that the node was given, or the invitation by which it is to get its first
// one, if it has either.
type Membership struct {
	Cloud       string
	Key         transport.Peer
	Certificate *membership.Presented
	Ticket      *membership.Ticket
}

// inviters are the auths that honour the invitation that the node has, if it has one that can be read.
func (m *Membership) inviters() (list []Contact) {
	if m == nil || m.Ticket == nil {
		return nil
	}
	for _, c := range m.Ticket.Contacts() {
		list = append(list, Contact{Peer: c.Peer, Addresses: c.Addresses})
	}
	return list
}

// JoinedFact is what the agent reports when the node has come into the cloud by an invitation, with
// the services that it may offer.
const JoinedFact = "joined"

// ErrOtherCloud says that the node's disk is that of a member of another cloud: what is on it - jobs,
// versions, addresses - belongs there. Who moves a machine to another cloud empties its disk.
var ErrOtherCloud = errors.New("the disk is that of a member of another cloud")

// MembershipService is the name of the agent that keeps what the node has learned since in
// its part of the disk. The node reads it before anybody can connect.
const MembershipService = "membership"

// authorize makes the node's Authority of what it was given, and of what is on its disk.
func (n *Node) authorize(loop clock.Loop) (options []transport.Option, err error) {
	m := n.cfg.World.Membership
	if m == nil {
		return nil, nil
	}
	n.authority = credentials.New(loop, n.cfg.Identity.Peer(), membership.NewTrust(m.Cloud, m.Key))
	local, err := localkv.Open(loop, n.cfg.World.Disk, storage.K("local", MembershipService))
	if err != nil {
		return nil, err
	}
	if err := bindDisk(local, m.Cloud); err != nil {
		return nil, err
	}
	if err := loadMembership(local, n.authority, m.Certificate); err != nil {
		return nil, err
	}
	return []transport.Option{transport.AuthorizeBy(n.authority)}, nil
}

// What is kept, and under which keys: the certificate and the rotations, each as one value,
// and each revocation, by whose it is and who has signed it.
func certificateKey() storage.Key { return storage.K("certificate") }
func rotationsKey() storage.Key   { return storage.K("rotations") }
func revokedKey() storage.Key     { return storage.K("revoked") }

func cloudKey() storage.Key { return storage.K("cloud") }

// bindDisk notes of which cloud a disk is, when that is new. It becomes durable with the next sync of
// what the agent keeps, and before anything that the node learns is.
func bindDisk(local storage.Local, cloud string) error {
	is, err := local.Get(cloudKey())
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return storage.Put(local, cloudKey(), []byte(cloud))
	case err != nil:
		return err
	case string(is) != cloud:
		return fmt.Errorf("%w: of %q, and this node is to be of %q", ErrOtherCloud, is, cloud)
	}
	return nil
}

// rotations is the value of rotationsKey.
type rotations struct {
	List []membership.Signed `cbor:"1,keyasint"`
}

// loadMembership hands over what is on the disk. The certificate is the later one of that and
// given. What cannot be read is left out: others know it.
func loadMembership(local storage.Local, a *credentials.Authority, given *membership.Presented) error {
	var turned rotations
	if err := read(local, rotationsKey(), &turned); err != nil {
		return err
	}
	_, _ = a.Rotate(turned.List...)
	if given != nil {
		_, _ = a.Rotate(given.Rotations...)
	}
	entries, err := local.List(revokedKey())
	if err != nil {
		return err
	}
	for _, e := range entries {
		var r membership.Revoking
		if transport.Decode(e.Value, &r) == nil {
			_, _ = a.Revoke(r)
		}
	}
	var kept membership.Presented
	if err := read(local, certificateKey(), &kept); err != nil {
		return err
	}
	if later(kept, given) {
		given = &kept
	}
	if given == nil {
		return nil
	}
	if err := a.SetOwn(*given); err != nil {
		return fmt.Errorf("the certificate that this node was given: %w", err)
	}
	return nil
}

// later reports whether a kept certificate is one, and begins after the given one.
func later(kept membership.Presented, given *membership.Presented) bool {
	is, err := kept.Says()
	if err != nil || given == nil {
		return err == nil
	}
	was, err := given.Says()
	return err != nil || is.NotBefore >= was.NotBefore
}

func read(local storage.Local, key storage.Key, into any) error {
	raw, err := local.Get(key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err == nil {
		_ = transport.Decode(raw, into)
	}
	return err
}

// KeepCertificate writes what this node shows to the agent's part of the disk, as all of the
// following do, without a sync.
func KeepCertificate(local storage.Local, p membership.Presented) error {
	return storage.Put(local, certificateKey(), transport.Encode(p))
}

// KeepRotations writes the rotations that are known.
func KeepRotations(local storage.Local, list []membership.Signed) error {
	return storage.Put(local, rotationsKey(), transport.Encode(rotations{list}))
}

// KeepRevocations writes revocations, in place of earlier ones of the same signers.
func KeepRevocations(local storage.Local, list []membership.Revoking) error {
	for _, r := range list {
		key := storage.K("revoked", r.Subject().String(), r.Revocation.By.String())
		if err := storage.Put(local, key, transport.Encode(r)); err != nil {
			return err
		}
	}
	return nil
}
