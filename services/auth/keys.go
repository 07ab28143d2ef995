package auth

import (
	"encoding/binary"
	"fmt"

	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// In the replicated store. Each is written with one value, or by one auth only.
const (
	revokedPart  = "revoked"  // /<subject>/<by>: a membership.Revoking of who has signed it
	rotationPart = "rotation" // /<by>: a rotation that a cloud key has signed
	issuerPart   = "issuer"   // /<peer>: an issuer's certificate by the present cloud key

	tokenPart        = "token"         // /<id>: a token.Record
	tokenRevokedPart = "token-revoked" // /<id>: it was taken back; the value is when it would have ended

	projectPart     = "project"      // /<name>: an authapi.Project
	repositoryPart  = "repository"   // /<name>: an authapi.Repository; of two that are written at once one counts, everywhere the same
	domainPart      = "domain"       // /<host>: an authapi.Domain; of two that are written at once one counts, everywhere the same
	certificatePart = "certificate"  // /<host>/<version>/<by>: a sealedCertificate
	hookPart        = "hook"         // /<hook>: the name of its repository
	secretPart      = "secret"       // /<owner>/<kind>/<name>/<version>/<by>: a sealedSecret
	secretEndPart   = "secret-ended" // the same and /<until>: it ends then; of several the first
	auditPart       = "audit"        // /<time>/<by>/<n>: an authapi.AuditEntry
)

// On the disk of one auth.
const (
	invitedPart = "invited" // /<id>: an invitation that this auth honours
	usedPart    = "used"    // /<id>/<peer>: who has come by it, if no other auth honours it
	tallyPart   = "tally"   // /<id>: a tally, if others do
	issuedPart  = "issued"  // /<peer>: when its last certificate of this auth begins
)

func revokedKey(subject, by transport.Peer) storage.Key {
	return storage.K(revokedPart, subject.String(), by.String())
}

func rotationKey(by transport.Peer) storage.Key { return storage.K(rotationPart, by.String()) }
func issuerKey(p transport.Peer) storage.Key    { return storage.K(issuerPart, p.String()) }

func tokenKey(id string) storage.Key        { return storage.K(tokenPart, id) }
func tokenRevokedKey(id string) storage.Key { return storage.K(tokenRevokedPart, id) }

func projectKey(name string) storage.Key    { return storage.K(projectPart, name) }
func repositoryKey(name string) storage.Key { return storage.K(repositoryPart, name) }
func domainKey(host string) storage.Key     { return storage.K(domainPart, host) }
func hookKey(hook string) storage.Key       { return storage.K(hookPart, hook) }

// paddedID is an id in keys.
func paddedID(id uint64) string { return fmt.Sprintf("%016x", id) }

func invitedKey(id uint64) storage.Key { return storage.K(invitedPart, paddedID(id)) }
func tallyKey(id uint64) storage.Key   { return storage.K(tallyPart, paddedID(id)) }
func usedKey(id uint64, p transport.Peer) storage.Key {
	return storage.K(usedPart, paddedID(id), p.String())
}

// number is a number as a value.
func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func parseNumber(raw []byte) int64 {
	if len(raw) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(raw))
}
