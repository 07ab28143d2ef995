package membership

import (
	"testing"
	"time"

	"github.com/taucloud/tau/transport"
)

// FuzzStatements: whatever is signed by a stranger takes nobody's certificate back, replaces no key and admits nobody, and
// what is signed by somebody else than it says is no statement.
func FuzzStatements(f *testing.F) {
	next := transport.NewIdentity([]byte("2"))
	for _, v := range []any{
		Revocation{cloud, nodeKey.Peer(), at(0)}, Rotation{cloud, next.Peer(), at(time.Hour)},
		Admission{ticket(func(*Invitation) {}).Invitation, strange.Peer(), "n", []string{"monkey"}}, node(), issuing(),
	} {
		f.Add(transport.Encode(v))
	}
	issuer := sign(cloudKey, forCertificate, issuing())
	f.Fuzz(func(t *testing.T, body []byte) {
		trust := NewTrust(cloud, cloudKey.Peer())
		for _, purpose := range []string{forRevocation, forRotation, forAdmission, forCertificate} {
			s := Signed{Body: body, By: strange.Peer(), Signature: strange.Sign(append([]byte(purpose), body...))}
			forged := s
			forged.By = cloudKey.Peer()
			for _, s := range []Signed{s, forged} {
				var r Revocations
				if news, _ := r.Add(Revoking{Revocation: s}, trust, noon); news {
					t.Fatal("a stranger revokes")
				}
				if news, _ := r.Add(Revoking{Revocation: s, Issuer: &issuer}, trust, noon); news {
					t.Fatal("a stranger revokes as an issuer")
				}
				if trust.Apply(s) == nil {
					t.Fatal("a stranger replaces the cloud key")
				}
				if _, _, err := CheckAdmission(s, strange.Peer(), issuerKey.Peer(), trust, &issuer, func(uint64) []transport.Peer { return nil }, noon); err == nil {
					t.Fatal("a stranger is admitted")
				}
				if _, err := Verify(Presented{Certificate: s}, strange.Peer(), trust, nil, noon); err == nil {
					t.Fatal("a stranger is a member")
				}
			}
		}
	})
}
