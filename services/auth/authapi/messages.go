package authapi

import (
	"time"

	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

const (
	// PageMax bounds the revocations of one answer.
	PageMax = 256
	// InvitationsMax bounds the invitations that one auth keeps.
	InvitationsMax = 1024
	// IssuersMax bounds the certificates of issuers in one RotateRequest.
	IssuersMax = 64
)

// RenewRequest asks for a certificate like the one that the caller has, for the time to come.
type RenewRequest struct {
	Shown membership.Presented `cbor:"1,keyasint"`
}

// AdmitRequest asks for the first certificate, by an invitation (membership.Admit).
type AdmitRequest struct {
	Request membership.Signed `cbor:"1,keyasint"`
}

// CertificateResponse is a new certificate of the caller.
type CertificateResponse struct {
	Certificate membership.Presented `cbor:"1,keyasint"`
}

// RevocationsRequest asks for all that was revoked, unless that has the digest Known, from
// the entry After on.
type RevocationsRequest struct {
	Known []byte `cbor:"1,keyasint,omitempty"`
	After int    `cbor:"2,keyasint,omitempty"`
}

// RevocationsResponse has a page of the revocations with a digest, none if that is Known.
// More: there are others.
type RevocationsResponse struct {
	Digest []byte                `cbor:"1,keyasint"`
	List   []membership.Revoking `cbor:"2,keyasint,omitempty"`
	More   bool                  `cbor:"3,keyasint,omitempty"`
}

// InviteRequest asks for an invitation to whoever has the secret of Key, for up to Uses nodes that
// may offer some of Services, sorted, for a time from now.
type InviteRequest struct {
	Key      transport.Peer `cbor:"1,keyasint"`
	Services []string       `cbor:"2,keyasint"`
	For      time.Duration  `cbor:"3,keyasint"`
	Uses     uint32         `cbor:"4,keyasint"`
}

// InviteResponse is an invitation. Those who honour it - the auth that has answered, and two others if it reached them -
// have it on their disks.
type InviteResponse struct {
	Invitation membership.Signed `cbor:"1,keyasint"`
}

// InvitationsRequest asks for the invitations that the called auth honours.
type InvitationsRequest struct{}

// InvitationsResponse lists them, in the order in which they were made.
type InvitationsResponse struct {
	List []Invited `cbor:"1,keyasint"`
}

// Invited is an invitation and who has come by it.
type Invited struct {
	ID       uint64           `cbor:"1,keyasint"`
	Services []string         `cbor:"2,keyasint"`
	NotAfter int64            `cbor:"3,keyasint"` // seconds since 1970
	Uses     uint32           `cbor:"4,keyasint"`
	Used     []transport.Peer `cbor:"5,keyasint,omitempty"`
}

// WithdrawRequest ends an invitation of the called auth. Alone: one of those who honour it says so to another.
type WithdrawRequest struct {
	ID    uint64 `cbor:"1,keyasint"`
	Alone bool   `cbor:"2,keyasint,omitempty"`
}

// WithdrawResponse says that nobody comes by it from now on; whoever has come stays.
type WithdrawResponse struct{}

// HonourRequest asks an auth to honour an invitation of the caller's that names it.
type HonourRequest struct {
	Invitation membership.Signed `cbor:"1,keyasint"`
}

// HonourResponse says that it does, and has it on its disk.
type HonourResponse struct{}

// Ballot numbers the attempts to count somebody who comes, in order: by N, then by who counts.
type Ballot struct {
	N  uint64         `cbor:"1,keyasint"`
	By transport.Peer `cbor:"2,keyasint"`
}

// TallyRequest asks one of those who honour an invitation to take no earlier ballot from now on, and, with
// Accept, that Used are those who have come.
type TallyRequest struct {
	ID     uint64           `cbor:"1,keyasint"`
	Ballot Ballot           `cbor:"2,keyasint"`
	Accept bool             `cbor:"3,keyasint,omitempty"`
	Used   []transport.Peer `cbor:"4,keyasint,omitempty"`
}

// TallyResponse says that it does, which is on its disk, and otherwise what it has Promised. Accepted and Used are the last that it has
// accepted before.
type TallyResponse struct {
	Granted  bool             `cbor:"1,keyasint,omitempty"`
	Promised Ballot           `cbor:"2,keyasint"`
	Accepted Ballot           `cbor:"3,keyasint"`
	Used     []transport.Peer `cbor:"4,keyasint,omitempty"`
}

// RevokeRequest takes all certificates of a member back. Statement is a revocation that the cloud
// key has signed, which it must be of one who may issue; without it the called auth signs one.
type RevokeRequest struct {
	Subject   transport.Peer       `cbor:"1,keyasint"`
	Statement *membership.Revoking `cbor:"2,keyasint,omitempty"`
}

// RevokeResponse says on how many auths that is durable.
type RevokeResponse struct {
	Copies int `cbor:"1,keyasint"`
}

// RotateRequest replaces the cloud key. Rotation is signed by the one before; Issuers are the
// certificates of auths, signed by the one that follows.
type RotateRequest struct {
	Rotation membership.Signed   `cbor:"1,keyasint"`
	Issuers  []membership.Signed `cbor:"2,keyasint"`
}

// RotateResponse says on how many auths that is durable.
type RotateResponse struct {
	Copies int `cbor:"1,keyasint"`
}
