package membership

import (
	"errors"
	"fmt"

	"github.com/taucloud/tau/transport"
)

// Signed is a statement with its signature. The body is kept as it was signed and
// never encoded again, so that a field that a later release adds stays covered.
type Signed struct {
	Body      []byte         `cbor:"1,keyasint"`
	By        transport.Peer `cbor:"2,keyasint"` // whose key has signed
	Signature []byte         `cbor:"3,keyasint"`
}

// bodyLenMax bounds the body of a statement, in bytes.
const bodyLenMax = 4 << 10

// What a signature is for is signed with it, so that no statement passes for one of
// another kind.
const (
	forCertificate = "tau certificate v1\n"
	forRevocation  = "tau revocation v1\n"
	forRotation    = "tau rotation v1\n"
	forInvitation  = "tau invitation v1\n"
	forAdmission   = "tau admission v1\n"
)

var (
	// ErrMalformed says that something is no statement, or breaks a bound.
	ErrMalformed = errors.New("membership: malformed")
	// ErrSignature says that a statement is not signed by whom it names.
	ErrSignature = errors.New("membership: the signature is wrong")
	// ErrNotTrusted says that the signer may not sign such a statement.
	ErrNotTrusted = errors.New("membership: signed by a key that may not")
	// ErrOtherCloud says that a statement belongs to a cloud of another name.
	ErrOtherCloud = errors.New("membership: of another cloud")
)

func sign(key transport.Identity, purpose string, statement any) Signed {
	body := transport.Encode(statement)
	return Signed{Body: body, By: key.Peer(), Signature: key.Sign(append([]byte(purpose), body...))}
}

// open decodes a statement into into once its signature has proven right.
func (s Signed) open(purpose string, into any) error {
	if len(s.Body) > bodyLenMax {
		return fmt.Errorf("%w: %d bytes", ErrMalformed, len(s.Body))
	}
	if !verified.holds(purpose, s) {
		return ErrSignature
	}
	if err := transport.Decode(s.Body, into); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}
