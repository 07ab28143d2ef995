// Package membership says who belongs to a cloud and what each member may offer.
//
// A cloud has a name and a key, both told to a node when it is set up (Trust). The
// cloud key signs certificates of members, directly or through issuers: members
// whose own certificate lets them sign those of others. What a node presents is its
// certificate and, if an issuer has signed that, the issuer's (Presented). Verify
// says which member that makes of the peer at the other end of a conn.
//
// A certificate ends by itself (NotAfter). Before that it ends by a Revocation, and
// all that a cloud key has signed ends after that key was replaced (Rotation).
// An Invitation lets somebody who knows its secret ask for a certificate.
//
// Everything here is a signed statement (Signed) or computed from such. Nothing has
// effects, reads a clock or draws chance: callers hand in the time and the secrets.
// Times are seconds since 1970, as wall clocks have them: those of two nodes may
// differ by SkewMax.
package membership
