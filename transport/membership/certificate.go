package membership

import (
	"fmt"
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
)

const (
	// ValidityMax is the longest time from NotBefore to NotAfter. So a revocation can
	// be forgotten when that has passed since.
	ValidityMax = 400 * 24 * time.Hour
	// SkewMax is by how much the wall clocks of two nodes may differ.
	SkewMax = 5 * time.Minute

	cloudLenMax   = 253 // as long as a domain name
	nameLenMax    = 64
	servicesMax   = 32
	serviceLenMax = 32
)

// Certificate says that a node is a member of a cloud.
type Certificate struct {
	Cloud   string         `cbor:"1,keyasint"` // the cloud's domain name
	Serial  uint64         `cbor:"2,keyasint"` // tells certificates of one signer apart
	Subject transport.Peer `cbor:"3,keyasint"` // the member's key
	Name    string         `cbor:"4,keyasint"` // the member's name, for people
	// Services are those that the member may offer, sorted, each once.
	Services []string `cbor:"5,keyasint"`
	// NotBefore and NotAfter bound the time in which it counts, both included.
	NotBefore int64 `cbor:"6,keyasint"`
	NotAfter  int64 `cbor:"7,keyasint"`
	// Issues lists the services that the member may grant to others, sorted, each
	// once: it is an issuer if there are any. An issuer's certificate is signed by
	// the cloud key itself.
	Issues []string `cbor:"8,keyasint,omitempty"`
}

// Issue signs a certificate. It fails if the certificate breaks a bound.
func Issue(key transport.Identity, c Certificate) (Signed, error) {
	if err := c.check(); err != nil {
		return Signed{}, err
	}
	return sign(key, forCertificate, c), nil
}

// check holds the bounds and the order of a certificate's fields.
func (c Certificate) check() error {
	switch {
	case c.Cloud == "" || len(c.Cloud) > cloudLenMax:
		return fmt.Errorf("%w: the name of the cloud has 1 to %d bytes, not %d", ErrMalformed, cloudLenMax, len(c.Cloud))
	case c.Subject.IsZero():
		return fmt.Errorf("%w: no subject", ErrMalformed)
	case c.Name == "" || len(c.Name) > nameLenMax:
		return fmt.Errorf("%w: a name has 1 to %d bytes, not %d", ErrMalformed, nameLenMax, len(c.Name))
	case c.NotBefore < 0 || c.NotAfter < c.NotBefore || c.NotAfter-c.NotBefore > int64(ValidityMax/time.Second):
		return fmt.Errorf("%w: valid from %d to %d: at most %s, and not before 1970", ErrMalformed, c.NotBefore, c.NotAfter, ValidityMax)
	}
	if err := checkServices(c.Services); err != nil {
		return err
	}
	return checkServices(c.Issues)
}

func checkServices(list []string) error {
	if len(list) > servicesMax {
		return fmt.Errorf("%w: %d services, at most %d", ErrMalformed, len(list), servicesMax)
	}
	for i, s := range list {
		if s == "" || len(s) > serviceLenMax {
			return fmt.Errorf("%w: a service's name has 1 to %d bytes", ErrMalformed, serviceLenMax)
		}
		if i > 0 && list[i-1] >= s {
			return fmt.Errorf("%w: services out of order", ErrMalformed)
		}
	}
	return nil
}

// openCertificate is what a signed certificate says, whoever may have signed it.
func openCertificate(s Signed) (c Certificate, err error) {
	if err := s.open(forCertificate, &c); err != nil {
		return c, err
	}
	return c, c.check()
}

// within reports whether a service list is part of another one.
func within(list, of []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool {
		_, found := slices.BinarySearch(of, s)
		return !found
	})
}
