// Package addressbook is what nodes say of themselves and remember of each other: announcements, signed by
// the member that each is about, and a book that keeps the newest of each. Nothing here has effects or
// reads a clock.
//
// Of two announcements of a member the one of the higher (incarnation, counter) counts, in whatever order
// they come and whoever brings them: an old one never wins. A departure is an announcement too.
package addressbook

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/taucloud/tau/transport"
)

// Bounds of one announcement.
const (
	// NameLenMax bounds a name, that of a service, and an address, in bytes.
	NameLenMax = 128
	// ServicesMax bounds the services of a member, AddressesMax its addresses.
	ServicesMax  = 64
	AddressesMax = 16
	// IncarnationMax leaves room to be superseded.
	IncarnationMax = 1 << 62
	// bodyLenMax bounds the encoding, in bytes.
	bodyLenMax = 16 << 10
	// cloudLenMax bounds the name of a cloud, in bytes: it is that of a domain.
	cloudLenMax = 253
)

// purpose is signed with the body, so that no other statement passes for an announcement.
const purpose = "tau announcement v1\n"

var (
	// ErrMalformed says that something is no announcement, or breaks a bound.
	ErrMalformed = errors.New("addressbook: malformed")
	// ErrSignature says that an announcement is not signed by whom it is about.
	ErrSignature = errors.New("addressbook: the signature is wrong")
	// ErrOtherCloud says that an announcement is that of a member of another cloud.
	ErrOtherCloud = errors.New("addressbook: of another cloud")
)

// Announcement is what a member says of itself.
type Announcement struct {
	Peer transport.Peer `cbor:"1,keyasint"`
	Name string         `cbor:"2,keyasint"`
	// Incarnation is higher in each run of the node, Counter with each announcement of one run.
	Incarnation uint64 `cbor:"3,keyasint"`
	Counter     uint64 `cbor:"4,keyasint"`
	// Services are those that it offers, sorted, each once.
	Services []string `cbor:"5,keyasint"`
	// Addresses are where others reach it, as the Host writes them, the best first.
	Addresses []string `cbor:"6,keyasint"`
	// Left: it has left the cloud for ever, unless it announces itself anew.
	Left bool `cbor:"7,keyasint,omitempty"`
	// Cloud is the name of the cloud of which it is a member: announcements are for anybody to hear, and
	// whoever is in two clouds could tell them in the other.
	Cloud string `cbor:"8,keyasint,omitempty"`
}

// Stamp orders the announcements of one member.
type Stamp struct {
	Incarnation uint64 `cbor:"1,keyasint"`
	Counter     uint64 `cbor:"2,keyasint"`
}

// Compare returns whether s is of an older, the same or a newer announcement than o.
func (s Stamp) Compare(o Stamp) int {
	return cmp.Or(cmp.Compare(s.Incarnation, o.Incarnation), cmp.Compare(s.Counter, o.Counter))
}

// Stamp is the announcement's place among those of its member.
func (a *Announcement) Stamp() Stamp { return Stamp{a.Incarnation, a.Counter} }

// Offers reports whether the member offers a service, any for "".
func (a *Announcement) Offers(service string) bool {
	if a.Left {
		return false
	}
	_, found := slices.BinarySearch(a.Services, service)
	return found || service == ""
}

// Signed is an announcement as it travels and is stored. The body is kept as it was signed, so that a
// field that a later release adds stays covered.
type Signed struct {
	Body      []byte `cbor:"1,keyasint"`
	Signature []byte `cbor:"2,keyasint"`
}

// Sign signs an announcement of key's own. It fails if a bound is broken.
func Sign(key transport.Identity, a Announcement) (Signed, error) {
	a.Peer = key.Peer()
	if err := a.check(); err != nil {
		return Signed{}, err
	}
	body := transport.Encode(a)
	return Signed{Body: body, Signature: key.Sign(append([]byte(purpose), body...))}, nil
}

// Open returns what was signed, if everything about it is right. The result may be shared and must not be
// changed.
func (s Signed) Open() (*Announcement, error) {
	if len(s.Body) > bodyLenMax {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(s.Body))
	}
	if a := opened.get(s); a != nil {
		return a, nil
	}
	a := &Announcement{}
	if err := transport.Decode(s.Body, a); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	if !a.Peer.Verify(append([]byte(purpose), s.Body...), s.Signature) {
		return nil, ErrSignature
	}
	opened.put(s, a)
	return a, nil
}

// check holds the bounds.
func (a *Announcement) check() error {
	switch tooLong := func(s string) bool { return s == "" || len(s) > NameLenMax }; {
	case a.Peer.IsZero():
		return fmt.Errorf("%w: of nobody", ErrMalformed)
	case tooLong(a.Name):
		return fmt.Errorf("%w: a name has 1 to %d bytes", ErrMalformed, NameLenMax)
	case len(a.Cloud) > cloudLenMax:
		return fmt.Errorf("%w: the name of a cloud has at most %d bytes", ErrMalformed, cloudLenMax)
	case a.Incarnation == 0 || a.Incarnation > IncarnationMax || a.Counter > IncarnationMax:
		return fmt.Errorf("%w: incarnations are 1 to 2^62, and counters no more", ErrMalformed)
	case len(a.Services) > ServicesMax || slices.ContainsFunc(a.Services, tooLong):
		return fmt.Errorf("%w: at most %d services of 1 to %d bytes", ErrMalformed, ServicesMax, NameLenMax)
	case len(a.Addresses) > AddressesMax || slices.ContainsFunc(a.Addresses, tooLong):
		return fmt.Errorf("%w: at most %d addresses of 1 to %d bytes", ErrMalformed, AddressesMax, NameLenMax)
	}
	for i := 1; i < len(a.Services); i++ {
		if a.Services[i-1] >= a.Services[i] {
			return fmt.Errorf("%w: services are in order, each once", ErrMalformed)
		}
	}
	return nil
}
