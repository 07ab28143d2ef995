package membership

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
)

// keysMax bounds how many keys a cloud may have had whose signatures still count.
const keysMax = 16

// RotationsMax is how many rotations can count, one after the other.
const RotationsMax = keysMax - 1

// Trust is what a node believes without proof: the name of its cloud and its key.
// Rotations add keys and end others. The zero value trusts nobody.
type Trust struct {
	Cloud string
	keys  []anchor // the first is what the node was told, each further one its successor
}

// anchor is a key of the cloud.
type anchor struct {
	key  transport.Peer
	ends int64 // its signatures count until then, in seconds since 1970
	// rotation is the statement that names the successor, its body nil if there is
	// none.
	rotation Signed
}

// NewTrust trusts one key.
func NewTrust(cloud string, key transport.Peer) *Trust {
	return &Trust{Cloud: cloud, keys: []anchor{{key: key, ends: math.MaxInt64}}}
}

// Rotation replaces the cloud key: its signatures count until Until, those of To
// from now on.
type Rotation struct {
	Cloud string         `cbor:"1,keyasint"`
	To    transport.Peer `cbor:"2,keyasint"`
	Until int64          `cbor:"3,keyasint"` // seconds since 1970
}

// Rotate signs a rotation with the key that is replaced.
func Rotate(key transport.Identity, r Rotation) Signed { return sign(key, forRotation, r) }

// ErrConflict says that a key has signed two rotations, which its owner never does:
// it is in other hands, too. The one that came first stays: a key that was replaced
// because it was stolen must not replace its successor. People have to look.
var ErrConflict = errors.New("membership: the key was replaced by another one already")

// Apply takes a rotation over. It may come late and more than once. Signatures, which are
// what costs, are looked at only of those that a key of the cloud is said to have signed.
func (t *Trust) Apply(s Signed) error {
	at := slices.IndexFunc(t.keys, func(a anchor) bool { return a.key == s.By })
	if at < 0 {
		return ErrNotTrusted
	}
	var r Rotation
	if err := s.open(forRotation, &r); err != nil {
		return err
	}
	switch {
	case r.Cloud != t.Cloud:
		return fmt.Errorf("%w: %q", ErrOtherCloud, r.Cloud)
	case r.To.IsZero() || r.Until < 0:
		return fmt.Errorf("%w: a rotation to no key, or to before 1970", ErrMalformed)
	case t.keys[at].rotation.Body != nil && bytes.Equal(t.keys[at].rotation.Body, s.Body):
		return nil
	case t.keys[at].rotation.Body != nil:
		return ErrConflict
	case slices.ContainsFunc(t.keys, func(a anchor) bool { return a.key == r.To }):
		return fmt.Errorf("%w: a rotation to an earlier key", ErrMalformed)
	case len(t.keys) >= keysMax:
		return fmt.Errorf("%w: over %d keys", ErrMalformed, keysMax)
	}
	t.keys[at].rotation, t.keys[at].ends = s, r.Until
	t.keys = append(t.keys, anchor{key: r.To, ends: math.MaxInt64})
	return nil
}

// Key is the present key of the cloud, as far as is known.
func (t *Trust) Key() transport.Peer { return t.keys[len(t.keys)-1].key }

// Anchor is the earliest key of which signatures count at a time. Who is told of it believes all that counts then, and learns of
// later keys by the rotations.
func (t *Trust) Anchor(now time.Time) transport.Peer {
	for _, a := range t.keys {
		if now.Unix() <= a.ends {
			return a.key
		}
	}
	return t.Key()
}

// Rotations lists the statements that led to the present key, in order.
func (t *Trust) Rotations() (list []Signed) {
	for _, a := range t.keys {
		if a.rotation.Body != nil {
			list = append(list, a.rotation)
		}
	}
	return list
}

// signs reports whether what a key has signed, with a date, counts at this time, and
// until when: neither is after the key's end, the time with SkewMax, as for certificates.
func (t *Trust) signs(key transport.Peer, dated int64, now time.Time) (end int64, err error) {
	at := slices.IndexFunc(t.keys, func(a anchor) bool { return a.key == key })
	if at < 0 {
		return 0, ErrNotTrusted
	}
	if ends := t.keys[at].ends; dated > ends || now.Add(-SkewMax).Unix() > ends {
		return 0, ErrExpired
	}
	return t.keys[at].ends, nil
}
