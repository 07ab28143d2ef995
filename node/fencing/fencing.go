// Package fencing has the fencing token, by which a resource refuses the effects of former holders
// of a lease, after Gray and Cheriton ("Leases", 1989) and Kleppmann (2016).
//
// Each granted lease comes with a token greater than all before. The holder presents the token with
// each effect, and a resource that has seen a greater one refuses (Conflict). So a holder that was
// paused, or whose lease ended unnoticed, does no harm, whatever its clock says.
package fencing

import (
	"cmp"
	"fmt"

	"github.com/taucloud/tau/transport"
)

// Token names one attempt at something, such as the build of a job: of two tokens
// of one job the greater one is the newer. It is sent and stored as it is. The zero
// Token names no attempt and is below all others.
type Token struct {
	// Attempt counts from 1.
	Attempt uint64
	// Holder makes the attempt. It decides between equal attempts, which two sides of a partition
	// may grant.
	Holder transport.Peer
}

// Compare is the total order of tokens: by attempt, then by holder.
func (t Token) Compare(u Token) int {
	return cmp.Or(cmp.Compare(t.Attempt, u.Attempt), t.Holder.Compare(u.Holder))
}

// IsZero reports whether t names no attempt.
func (t Token) IsZero() bool { return t == Token{} }

func (t Token) String() string { return fmt.Sprintf("%d/%s", t.Attempt, t.Holder.Short()) }
