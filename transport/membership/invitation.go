package membership

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mr-tron/base58"
	"github.com/taucloud/tau/transport"
)

var (
	// ErrInvitation says that an admission does not follow from its invitation.
	ErrInvitation = errors.New("membership: the invitation is not for this")
	// ErrUsedUp says that as many have come by an invitation as it is for.
	ErrUsedUp = errors.New("membership: the invitation is used up")
)

// Invitation lets who knows its secret ask one of some issuers for a certificate, Uses times.
//
// Who honours it is written in it: AdmittedBy, which has made it, and With. That keeps the number: two
// issuers that do not reach each other could each admit as many, so one admits somebody only when more than half of
// those who are named have counted that. The price is that nobody comes in by it while half of them are away - with
// nobody in With, the one.
type Invitation struct {
	Cloud      string         `cbor:"1,keyasint"`
	ID         uint64         `cbor:"2,keyasint"`
	Key        transport.Peer `cbor:"3,keyasint"` // the public half of the secret
	Services   []string       `cbor:"4,keyasint"` // that may be asked for, sorted
	NotAfter   int64          `cbor:"5,keyasint"` // seconds since 1970
	Uses       uint32         `cbor:"6,keyasint"`
	AdmittedBy transport.Peer `cbor:"7,keyasint"`
	// With are the others that honour it: in order, each once, and not AdmittedBy.
	With []transport.Peer `cbor:"8,keyasint,omitempty"`
}

// HonouredBy lists who honours it, who has made it first.
func (i Invitation) HonouredBy() []transport.Peer {
	return append([]transport.Peer{i.AdmittedBy}, i.With...)
}

const (
	// usesMax bounds how many may come by one invitation: an issuer remembers each.
	usesMax = 1024
	// ticketPrefix begins an invitation as text.
	ticketPrefix = "tau-invitation-"
	// ticketLenMax bounds that text, in bytes; addressesMax how many addresses it has.
	ticketLenMax  = 8 << 10
	addressesMax  = 16
	addressLenMax = 256
	// withMax bounds how many honour an invitation beside who has made it.
	withMax = 4
)

// Invite signs an invitation for an issuer.
func Invite(key transport.Identity, i Invitation) (Signed, error) {
	if err := i.check(); err != nil {
		return Signed{}, err
	}
	return sign(key, forInvitation, i), nil
}

func (i Invitation) check() error {
	if i.Cloud == "" || len(i.Cloud) > cloudLenMax || i.Key.IsZero() || i.AdmittedBy.IsZero() || i.NotAfter < 0 || i.Uses == 0 || i.Uses > usesMax {
		return fmt.Errorf("%w: an invitation has a cloud, a key, an issuer and 1 to %d uses", ErrMalformed, usesMax)
	}
	for n, p := range i.With {
		if len(i.With) > withMax || p.IsZero() || p == i.AdmittedBy || n > 0 && slices.Compare(i.With[n-1][:], p[:]) >= 0 {
			return fmt.Errorf("%w: up to %d others honour an invitation, in order", ErrMalformed, withMax)
		}
	}
	return checkServices(i.Services)
}

// Contact is a member that a new node may ask.
type Contact struct {
	Peer      transport.Peer `cbor:"1,keyasint"`
	Addresses []string       `cbor:"2,keyasint"`
}

// Ticket is what is handed to somebody who is to join. It holds a secret.
type Ticket struct {
	Invitation Signed         `cbor:"1,keyasint"`
	Secret     []byte         `cbor:"2,keyasint"` // the seed of the invitation's key
	CloudKey   transport.Peer `cbor:"3,keyasint"` // what the new node will trust
	Addresses  []string       `cbor:"4,keyasint"` // where who has made it is reached
	// Others are where others are that honour it.
	Others []Contact `cbor:"5,keyasint,omitempty"`
}

// Contacts are who may be asked to come in, who has made the invitation first. Addresses may be missing.
func (t Ticket) Contacts() (list []Contact) {
	i, err := openInvitation(t.Invitation)
	if err != nil {
		return nil
	}
	list = append(list, Contact{i.AdmittedBy, t.Addresses})
	for _, p := range i.With {
		c := Contact{Peer: p}
		if at := slices.IndexFunc(t.Others, func(o Contact) bool { return o.Peer == p }); at >= 0 {
			c.Addresses = t.Others[at].Addresses
		}
		list = append(list, c)
	}
	return list
}

// Text is the ticket as one word. It is a secret.
func (t Ticket) Text() string { return ticketPrefix + base58.Encode(transport.Encode(t)) }

// String keeps the secret out of logs.
func (t Ticket) String() string { return ticketPrefix + "(secret)" }

// GoString likewise.
func (t Ticket) GoString() string { return t.String() }

// ParseTicket is the inverse of Text. No error repeats what was read.
func ParseTicket(text string) (t Ticket, err error) {
	text = strings.TrimSpace(text)
	body, found := strings.CutPrefix(text, ticketPrefix)
	if !found || len(text) > ticketLenMax {
		return t, fmt.Errorf("%w: an invitation begins with %q and has at most %d bytes", ErrMalformed, ticketPrefix, ticketLenMax)
	}
	raw, err := base58.Decode(body)
	if err != nil {
		return t, fmt.Errorf("%w: an invitation is base58 after %q: a letter is wrong or missing", ErrMalformed, ticketPrefix)
	}
	if err := transport.Decode(raw, &t); err != nil {
		return Ticket{}, fmt.Errorf("%w: an invitation that is not whole", ErrMalformed)
	}
	long := tooLong(t.Addresses) || len(t.Others) > withMax || slices.ContainsFunc(t.Others, func(c Contact) bool { return tooLong(c.Addresses) })
	i, err := openInvitation(t.Invitation)
	if err != nil || long || transport.NewIdentity(t.Secret).Peer() != i.Key {
		return Ticket{}, fmt.Errorf("%w: an invitation whose parts do not fit", ErrMalformed)
	}
	return t, nil
}

func tooLong(addresses []string) bool {
	return len(addresses) > addressesMax || slices.ContainsFunc(addresses, func(a string) bool { return len(a) > addressLenMax })
}

// OpenInvitation is what a signed invitation says, whoever may have signed it.
func OpenInvitation(s Signed) (Invitation, error) { return openInvitation(s) }

func openInvitation(s Signed) (i Invitation, err error) {
	if err := s.open(forInvitation, &i); err != nil {
		return i, err
	}
	return i, i.check()
}

// Admission asks for a certificate by an invitation. Who has heard it can do nothing
// with it: it is for one key, which the transport authenticates.
type Admission struct {
	Invitation Signed         `cbor:"1,keyasint"`
	Subject    transport.Peer `cbor:"2,keyasint"`
	Name       string         `cbor:"3,keyasint"`
	Services   []string       `cbor:"4,keyasint"`
}

// Admit makes the signed request of a node that has a ticket.
func Admit(t Ticket, subject transport.Peer, name string, services []string) Signed {
	return sign(transport.NewIdentity(t.Secret), forAdmission, Admission{t.Invitation, subject, name, services})
}

// CheckAdmission says what an issuer, self, may certify after a request by peer. The
// same peer may ask again: it counts once. used is who has come by an invitation,
// which the issuer remembers until it has ended, and which of one that several honour it does
// not know alone: there it says nobody. Nor does it see there that who has made it may: it has agreed to honour it.
func CheckAdmission(request Signed, peer, self transport.Peer, t *Trust, issuer *Signed, used func(id uint64) []transport.Peer, now time.Time) (Admission, Invitation, error) {
	var a Admission
	if err := request.open(forAdmission, &a); err != nil {
		return a, Invitation{}, err
	}
	i, err := openInvitation(a.Invitation)
	switch {
	case err != nil:
		return a, i, err
	case i.Cloud != t.Cloud:
		return a, i, fmt.Errorf("%w: %q", ErrOtherCloud, i.Cloud)
	case a.Subject != peer:
		return a, i, ErrSubject
	case request.By != i.Key || !slices.Contains(i.HonouredBy(), self) || !within(a.Services, i.Services) || checkServices(a.Services) != nil:
		return a, i, ErrInvitation
	case now.Unix() > i.NotAfter:
		return a, i, ErrExpired
	}
	if i.AdmittedBy != self {
		if a.Invitation.By != i.AdmittedBy {
			return a, i, ErrNotTrusted
		}
	} else if err := t.invites(a.Invitation.By, self, issuer, i, now); err != nil {
		return a, i, err
	}
	if by := used(i.ID); len(by) >= int(i.Uses) && !slices.Contains(by, peer) {
		return a, i, ErrUsedUp
	}
	return a, i, nil
}

// invites checks who has signed an invitation: the cloud key, or the issuer itself
// for services that it may grant.
func (t *Trust) invites(by, self transport.Peer, issuer *Signed, i Invitation, now time.Time) error {
	if issuer == nil || by != self {
		_, err := t.signs(by, 0, now)
		return err
	}
	_, err := t.issuer(*issuer, self, Certificate{Services: i.Services}, nil, now)
	return err
}
