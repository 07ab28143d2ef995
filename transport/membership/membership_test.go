package membership

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
	"pgregory.net/rapid"
)

const cloud = "cloud.example.com"

var (
	cloudKey  = transport.NewIdentity([]byte("cloud"))
	issuerKey = transport.NewIdentity([]byte("issuer"))
	nodeKey   = transport.NewIdentity([]byte("node"))
	strange   = transport.NewIdentity([]byte("stranger"))
	noon      = time.Unix(1_800_000_000, 0)
)

func at(d time.Duration) int64 { return noon.Add(d).Unix() }

// node is the certificate of a monkey, valid for an hour each way.
func node() Certificate {
	return Certificate{Cloud: cloud, Serial: 7, Subject: nodeKey.Peer(), Name: "monkey-1", Services: []string{"monkey"}, NotBefore: at(-time.Hour), NotAfter: at(time.Hour)}
}

// issuing is the certificate of an issuer of hoarders and monkeys.
func issuing() Certificate {
	return Certificate{
		Cloud: cloud, Serial: 1, Subject: issuerKey.Peer(), Name: "core-1", Services: []string{"auth"},
		Issues: []string{"hoarder", "monkey"}, NotBefore: at(-2 * time.Hour), NotAfter: at(30 * time.Minute),
	}
}

func must(s Signed, err error) Signed {
	if err != nil {
		panic(err)
	}
	return s
}

func direct(key transport.Identity, change func(*Certificate)) Presented {
	c := node()
	change(&c)
	return Presented{Certificate: sign(key, forCertificate, c)}
}

func issued(issuer transport.Identity, by transport.Identity, change func(node, issuer *Certificate)) Presented {
	c, i := node(), issuing()
	change(&c, &i)
	s := sign(by, forCertificate, i)
	return Presented{Certificate: sign(issuer, forCertificate, c), Issuer: &s}
}

func TestVerify(t *testing.T) {
	skew := SkewMax + time.Second
	none := func(*Certificate) {}
	for name, c := range map[string]struct {
		shown Presented
		peer  transport.Peer
		now   time.Duration
		err   error
	}{
		"by the cloud key":       {shown: direct(cloudKey, none)},
		"by nobody of the cloud": {shown: direct(strange, none), err: ErrNotTrusted},
		"by itself":              {shown: direct(nodeKey, none), err: ErrNotTrusted},
		"another's":              {shown: direct(cloudKey, none), peer: strange.Peer(), err: ErrSubject},
		"another cloud's":        {shown: direct(cloudKey, func(c *Certificate) { c.Cloud = "else.example.com" }), err: ErrOtherCloud},
		"early within the skew":  {shown: direct(cloudKey, none), now: -time.Hour - SkewMax},
		"too early":              {shown: direct(cloudKey, none), now: -time.Hour - skew, err: ErrNotYet},
		"late within the skew":   {shown: direct(cloudKey, none), now: time.Hour + SkewMax},
		"too late":               {shown: direct(cloudKey, none), now: time.Hour + skew, err: ErrExpired},
		"for too long":           {shown: direct(cloudKey, func(c *Certificate) { c.NotAfter = c.NotBefore + int64(ValidityMax/time.Second) + 1 }), err: ErrMalformed},
		"backwards":              {shown: direct(cloudKey, func(c *Certificate) { c.NotAfter = c.NotBefore - 1 }), err: ErrMalformed},
		"of nobody":              {shown: direct(cloudKey, func(c *Certificate) { c.Subject = transport.Peer{} }), err: ErrMalformed},
		"of no cloud":            {shown: direct(cloudKey, func(c *Certificate) { c.Cloud = "" }), err: ErrMalformed},
		"a forged issuer":        {shown: forged(), err: ErrSignature},
		"without a name":         {shown: direct(cloudKey, func(c *Certificate) { c.Name = "" }), err: ErrMalformed},
		"with a long name":       {shown: direct(cloudKey, func(c *Certificate) { c.Name = strings.Repeat("n", nameLenMax+1) }), err: ErrMalformed},
		"services out of order":  {shown: direct(cloudKey, func(c *Certificate) { c.Services = []string{"tns", "monkey"} }), err: ErrMalformed},
		"a service twice":        {shown: direct(cloudKey, func(c *Certificate) { c.Services = []string{"tns", "tns"} }), err: ErrMalformed},
		"too many services":      {shown: direct(cloudKey, func(c *Certificate) { c.Services = many(servicesMax + 1) }), err: ErrMalformed},
		"as long as it may be": {shown: direct(cloudKey, func(c *Certificate) {
			c.NotBefore, c.NotAfter = at(0), at(ValidityMax)
			c.Services = []string{strings.Repeat("s", serviceLenMax)}
		})},
		"for a moment":                 {shown: direct(cloudKey, func(c *Certificate) { c.NotBefore, c.NotAfter = at(0), at(0) })},
		"from before 1970":             {shown: direct(cloudKey, func(c *Certificate) { c.NotBefore, c.NotAfter = -1, 0 }), err: ErrMalformed},
		"of 1970":                      {shown: direct(cloudKey, func(c *Certificate) { c.NotBefore, c.NotAfter = 0, 0 }), err: ErrExpired},
		"a service of no name":         {shown: direct(cloudKey, func(c *Certificate) { c.Services = []string{""} }), err: ErrMalformed},
		"a service of a long name":     {shown: direct(cloudKey, func(c *Certificate) { c.Services = []string{strings.Repeat("s", serviceLenMax+1)} }), err: ErrMalformed},
		"a cloud of a long name":       {shown: direct(cloudKey, func(c *Certificate) { c.Cloud = strings.Repeat("c", cloudLenMax+1) }), err: ErrMalformed},
		"a cloud of the longest name":  {shown: direct(cloudKey, func(c *Certificate) { c.Cloud = strings.Repeat("c", cloudLenMax) }), err: ErrOtherCloud},
		"grants out of order":          {shown: direct(cloudKey, func(c *Certificate) { c.Issues = []string{"tns", "monkey"} }), err: ErrMalformed},
		"many services":                {shown: direct(cloudKey, func(c *Certificate) { c.Services = many(servicesMax) })},
		"by an issuer":                 {shown: issued(issuerKey, cloudKey, func(_, _ *Certificate) {})},
		"by an issuer that is none":    {shown: issued(issuerKey, cloudKey, func(_, i *Certificate) { i.Issues = nil }), err: ErrNotTrusted},
		"not by the issuer shown":      {shown: issued(strange, cloudKey, func(_, _ *Certificate) {}), err: ErrNotTrusted},
		"an issuer by an issuer":       {shown: issued(issuerKey, cloudKey, func(c, _ *Certificate) { c.Issues = []string{"monkey"} }), err: ErrNotTrusted},
		"an issuer nobody has signed":  {shown: issued(issuerKey, strange, func(_, _ *Certificate) {}), err: ErrNotTrusted},
		"a service it may not grant":   {shown: issued(issuerKey, cloudKey, func(c, _ *Certificate) { c.Services = []string{"patrick"} }), err: ErrNotTrusted},
		"an issuer of another cloud":   {shown: issued(issuerKey, cloudKey, func(_, i *Certificate) { i.Cloud = "else.example.com" }), err: ErrOtherCloud},
		"an issuer that has ended":     {shown: issued(issuerKey, cloudKey, func(_, _ *Certificate) {}), now: 30*time.Minute + skew, err: ErrExpired},
		"an issuer that has not begun": {shown: issued(issuerKey, cloudKey, func(_, i *Certificate) { i.NotBefore = at(skew) }), err: ErrNotYet},
	} {
		t.Run(name, func(t *testing.T) {
			peer := nodeKey.Peer()
			if !c.peer.IsZero() {
				peer = c.peer
			}
			m, err := Verify(c.shown, peer, NewTrust(cloud, cloudKey.Peer()), nil, noon.Add(c.now))
			require.ErrorIs(t, err, c.err)
			if c.err == nil {
				require.Equal(t, peer, m.Peer)
				require.Equal(t, "monkey-1", m.Name)
				require.False(t, m.Offers("patrick"))
			}
		})
	}
}

// forged names the cloud key as who has signed its issuer.
func forged() Presented {
	p := issued(issuerKey, strange, func(_, _ *Certificate) {})
	p.Issuer.By = cloudKey.Peer()
	return p
}

func many(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("s%03d", i))
	}
	return list
}

func TestMemberOffersWhatItsCertificateSays(t *testing.T) {
	m, err := Verify(issued(issuerKey, cloudKey, func(_, _ *Certificate) {}), nodeKey.Peer(), NewTrust(cloud, cloudKey.Peer()), nil, noon)
	require.NoError(t, err)
	require.True(t, m.Offers("monkey"))
	require.False(t, m.Offers("hoarder"))
	require.Equal(t, uint64(7), m.Serial)
	require.Equal(t, at(30*time.Minute), m.Until, "not longer than who has signed it")
}

// Whatever bit of what is shown is flipped, nobody is taken for a member by it.
func TestVerifyNoticesEachBit(t *testing.T) {
	trust := NewTrust(cloud, cloudKey.Peer())
	shown := transport.Encode(issued(issuerKey, cloudKey, func(_, _ *Certificate) {}))
	for i := range len(shown) * 8 {
		raw := append([]byte(nil), shown...)
		raw[i/8] ^= 1 << (i % 8)
		var p Presented
		if transport.Decode(raw, &p) != nil {
			continue
		}
		if m, err := Verify(p, nodeKey.Peer(), trust, nil, noon); err == nil {
			t.Fatalf("bit %d of %d makes no difference: %+v", i, len(shown)*8, m)
		}
	}
}

func TestStatementsOfOneKindAreNoneOfAnother(t *testing.T) {
	c := node()
	for _, purpose := range []string{forRevocation, forRotation, forInvitation, forAdmission, ""} {
		_, err := openCertificate(sign(cloudKey, purpose, c))
		require.ErrorIs(t, err, ErrSignature)
	}
	_, err := openCertificate(Signed{Body: make([]byte, bodyLenMax+1), By: cloudKey.Peer()})
	require.ErrorIs(t, err, ErrMalformed)
	_, err = openCertificate(Signed{Body: make([]byte, bodyLenMax), By: cloudKey.Peer()})
	require.ErrorIs(t, err, ErrSignature)
	_, err = openCertificate(Signed{Body: []byte{0xff}, By: cloudKey.Peer(), Signature: cloudKey.Sign(append([]byte(forCertificate), 0xff))})
	require.ErrorIs(t, err, ErrMalformed)
}

// TestEndOf: what is presented ends with the first of what it depends on, whoever has signed it.
func TestEndOf(t *testing.T) {
	next := transport.NewIdentity([]byte("2"))
	trust := NewTrust(cloud, cloudKey.Peer())
	require.NoError(t, trust.Apply(Rotate(cloudKey, Rotation{cloud, next.Peer(), at(20 * time.Minute)})))
	none := func(*Certificate) {}
	malformed := issued(issuerKey, cloudKey, func(_, i *Certificate) { i.Name = "" })
	for name, c := range map[string]struct {
		shown Presented
		end   int64
		err   error
	}{
		"the certificate":  {direct(next, none), at(time.Hour), nil},
		"by a stranger":    {direct(strange, none), at(time.Hour), nil},
		"the key":          {direct(cloudKey, none), at(20 * time.Minute), nil},
		"before the key":   {direct(cloudKey, func(c *Certificate) { c.NotAfter = at(time.Minute) }), at(time.Minute), nil},
		"the issuer":       {issued(issuerKey, next, func(_, _ *Certificate) {}), at(30 * time.Minute), nil},
		"the issuer's key": {issued(issuerKey, cloudKey, func(_, _ *Certificate) {}), at(20 * time.Minute), nil},
		"no certificate":   {direct(next, func(c *Certificate) { c.Name = "" }), 0, ErrMalformed},
		"no issuer":        {malformed, 0, ErrMalformed},
	} {
		end, err := trust.EndOf(c.shown)
		require.ErrorIs(t, err, c.err, name)
		require.Equal(t, c.end, end, name)
	}
	m, err := Verify(direct(cloudKey, none), nodeKey.Peer(), trust, nil, noon)
	require.NoError(t, err)
	require.Equal(t, at(20*time.Minute), m.Until, "not longer than the key that has signed it")
}

func TestRotate(t *testing.T) {
	second, third := transport.NewIdentity([]byte("2")), transport.NewIdentity([]byte("3"))
	first := NewTrust(cloud, cloudKey.Peer())
	r := Rotate(cloudKey, Rotation{cloud, second.Peer(), at(10 * time.Minute)})
	require.NoError(t, first.Apply(r))
	require.NoError(t, first.Apply(r), "it may come twice")

	verify := func(key transport.Identity, now time.Duration, begins time.Duration) error {
		_, err := Verify(direct(key, func(c *Certificate) { c.NotBefore = at(begins) }), nodeKey.Peer(), first, nil, noon.Add(now))
		return err
	}
	require.NoError(t, verify(cloudKey, 10*time.Minute, -time.Hour))
	require.NoError(t, verify(cloudKey, 10*time.Minute+SkewMax, -time.Hour), "clocks differ")
	require.ErrorIs(t, verify(cloudKey, 10*time.Minute+SkewMax+time.Second, -time.Hour), ErrExpired)
	require.ErrorIs(t, verify(cloudKey, 9*time.Minute, 11*time.Minute), ErrExpired, "dated after its end")
	require.NoError(t, verify(second, 0, -time.Hour))
	require.NoError(t, verify(second, 11*time.Minute, -time.Hour))

	for err, s := range map[error]Signed{
		ErrConflict:   Rotate(cloudKey, Rotation{cloud, third.Peer(), at(time.Minute)}),
		ErrNotTrusted: Rotate(strange, Rotation{cloud, third.Peer(), 0}),
		ErrOtherCloud: Rotate(second, Rotation{"else.example.com", third.Peer(), 0}),
		ErrMalformed:  Rotate(second, Rotation{cloud, cloudKey.Peer(), 0}), // to an earlier key
		ErrSignature:  {Body: r.Body, By: second.Peer(), Signature: r.Signature},
	} {
		require.ErrorIs(t, first.Apply(s), err)
	}
	require.ErrorIs(t, first.Apply(Rotate(second, Rotation{cloud, transport.Peer{}, 0})), ErrMalformed)
	require.ErrorIs(t, first.Apply(Rotate(second, Rotation{cloud, third.Peer(), -1})), ErrMalformed)
	require.NoError(t, NewTrust(cloud, second.Peer()).Apply(Rotate(second, Rotation{cloud, third.Peer(), 0})))
	require.NoError(t, first.Apply(Rotate(second, Rotation{cloud, third.Peer(), at(0)})))
	require.ErrorIs(t, verify(second, SkewMax+time.Second, -time.Hour), ErrExpired)

	other := NewTrust(cloud, cloudKey.Peer())
	for _, s := range first.Rotations() {
		require.NoError(t, other.Apply(s))
	}
	require.Equal(t, first, other, "a node that was away follows")
	key := third
	for n := 4; ; n++ {
		next := transport.NewIdentity([]byte{byte(n)})
		err := other.Apply(Rotate(key, Rotation{cloud, next.Peer(), at(0)}))
		if n > keysMax {
			require.ErrorIs(t, err, ErrMalformed)
			break
		}
		require.NoError(t, err)
		key = next
	}
}

// revoking is a revocation by the cloud key or by an issuer.
func revoking(by transport.Identity, subject transport.Peer, before time.Duration) Revoking {
	r := Revoking{Revocation: Revoke(by, Revocation{cloud, subject, at(before)})}
	if by.Peer() != cloudKey.Peer() {
		i := issuing()
		i.Subject = by.Peer()
		s := sign(cloudKey, forCertificate, i)
		r.Issuer = &s
	}
	return r
}

func TestRevoke(t *testing.T) {
	trust := NewTrust(cloud, cloudKey.Peer())
	verify := func(r *Revocations, begins time.Duration) error {
		_, err := Verify(issued(issuerKey, cloudKey, func(c, _ *Certificate) { c.NotBefore = at(begins) }), nodeKey.Peer(), trust, r, noon)
		return err
	}
	for _, by := range []transport.Identity{cloudKey, issuerKey} {
		var r Revocations
		news, err := r.Add(revoking(by, nodeKey.Peer(), -10*time.Minute), trust, noon)
		require.NoError(t, err)
		require.True(t, news)
		news, err = r.Add(revoking(by, nodeKey.Peer(), -20*time.Minute), trust, noon)
		require.NoError(t, err)
		require.False(t, news)
		require.ErrorIs(t, verify(&r, -10*time.Minute), ErrRevoked)
		require.NoError(t, verify(&r, -10*time.Minute+time.Second), "a newer certificate counts")
		require.Equal(t, 1, r.Len())

		var copied Revocations
		for _, s := range r.All() {
			_, err := copied.Add(s, trust, noon)
			require.NoError(t, err)
		}
		require.Equal(t, r.All(), copied.All())

		r.Forget(noon.Add(ValidityMax + SkewMax - 10*time.Minute))
		require.Equal(t, 1, r.Len())
		r.Forget(noon.Add(ValidityMax + SkewMax - 10*time.Minute + time.Second))
		require.Zero(t, r.Len())
		require.Empty(t, r.All())
	}
}

func TestRevokingAnIssuer(t *testing.T) {
	trust := NewTrust(cloud, cloudKey.Peer())
	shown := issued(issuerKey, cloudKey, func(_, _ *Certificate) {})
	second := transport.NewIdentity([]byte("second issuer"))

	var r Revocations
	_, err := r.Add(revoking(second, issuerKey.Peer(), 0), trust, noon)
	require.NoError(t, err)
	_, err = Verify(shown, nodeKey.Peer(), trust, &r, noon)
	require.NoError(t, err, "an issuer does not revoke another one")

	_, err = r.Add(revoking(cloudKey, issuerKey.Peer(), -time.Hour), trust, noon)
	require.NoError(t, err)
	_, err = Verify(shown, nodeKey.Peer(), trust, &r, noon)
	require.ErrorIs(t, err, ErrRevoked, "what a revoked issuer has signed does not count")

	mine := direct(cloudKey, func(*Certificate) {})
	_, err = r.Add(revoking(issuerKey, nodeKey.Peer(), -30*time.Minute), trust, noon)
	require.NoError(t, err)
	_, err = Verify(mine, nodeKey.Peer(), trust, &r, noon)
	require.NoError(t, err, "nor does what it has revoked since")
}

func TestRevocationsThatAreRefused(t *testing.T) {
	trust := NewTrust(cloud, cloudKey.Peer())
	late := revoking(issuerKey, nodeKey.Peer(), 0)
	i := issuing()
	i.NotAfter = at(-time.Hour)
	ended := sign(cloudKey, forCertificate, i)
	unsigned := sign(strange, forCertificate, issuing())
	for name, c := range map[string]struct {
		s   Revoking
		err error
	}{
		"by a stranger":            {Revoking{Revocation: Revoke(strange, Revocation{cloud, nodeKey.Peer(), at(0)})}, ErrNotTrusted},
		"by a member":              {Revoking{Revocation: Revoke(nodeKey, Revocation{cloud, nodeKey.Peer(), at(0)}), Issuer: late.Issuer}, ErrNotTrusted},
		"of the time to come":      {revoking(cloudKey, nodeKey.Peer(), SkewMax+time.Second), ErrMalformed},
		"of nobody":                {revoking(cloudKey, transport.Peer{}, 0), ErrMalformed},
		"from before 1970":         {Revoking{Revocation: Revoke(cloudKey, Revocation{cloud, nodeKey.Peer(), -1})}, ErrMalformed},
		"that is none":             {Revoking{Revocation: sign(cloudKey, forRotation, Revocation{cloud, nodeKey.Peer(), at(0)})}, ErrSignature},
		"by an issuer of nobody's": {Revoking{Revocation: late.Revocation, Issuer: &unsigned}, ErrNotTrusted},
		"of another cloud":         {Revoking{Revocation: Revoke(cloudKey, Revocation{"else.example.com", nodeKey.Peer(), at(0)})}, ErrOtherCloud},
		"by who is issuer no more": {Revoking{Revocation: late.Revocation, Issuer: &ended}, ErrExpired},
	} {
		var r Revocations
		news, err := r.Add(c.s, trust, noon)
		require.ErrorIs(t, err, c.err, name)
		require.False(t, news, name)
		require.Zero(t, r.Len(), name)
	}
	var r Revocations
	news, err := r.Add(revoking(cloudKey, nodeKey.Peer(), -ValidityMax-SkewMax-time.Second), trust, noon)
	require.NoError(t, err)
	require.False(t, news, "nothing is left that it takes back")
	for _, before := range []time.Duration{-ValidityMax - SkewMax, SkewMax} {
		var r Revocations
		s := revoking(cloudKey, nodeKey.Peer(), before)
		news, err = r.Add(s, trust, noon)
		require.NoError(t, err)
		require.True(t, news, before)
		require.Equal(t, at(before), s.Date())
		require.Equal(t, nodeKey.Peer(), s.Subject())
		require.True(t, r.Names(nodeKey.Peer()))
		require.False(t, r.Names(strange.Peer()))
	}
	_, err = r.Add(late, trust, noon)
	require.NoError(t, err)
	require.True(t, r.Names(nodeKey.Peer()), "by an issuer")
	torn := Revoking{Revocation: Signed{Body: late.Revocation.Body[:len(late.Revocation.Body)-1]}}
	require.Zero(t, torn.Date())
	require.Zero(t, torn.Subject())
}

// TestRevocationsOutliveTheKey: a revocation counts after the cloud key was replaced, also for who learns of it
// then; otherwise the issuer's new certificate would bring back what the issuer has signed and taken back.
func TestRevocationsOutliveTheKey(t *testing.T) {
	next := transport.NewIdentity([]byte("2"))
	long := func(c *Certificate) { c.NotBefore, c.NotAfter = at(-time.Hour), at(10*time.Hour) }
	issuer := issuing()
	long(&issuer)
	again := sign(next, forCertificate, issuer)
	for name, r := range map[string]Revoking{
		"by the issuer": revoking(issuerKey, nodeKey.Peer(), 0), "by the key": revoking(cloudKey, nodeKey.Peer(), 0),
	} {
		trust := NewTrust(cloud, cloudKey.Peer())
		require.NoError(t, trust.Apply(Rotate(cloudKey, Rotation{cloud, next.Peer(), at(time.Minute)})))
		shown := issued(issuerKey, cloudKey, func(c, _ *Certificate) { long(c) })
		shown.Issuer = &again
		now := noon.Add(5 * time.Hour)
		_, err := Verify(shown, nodeKey.Peer(), trust, nil, now)
		require.NoError(t, err, name)
		var revoked Revocations
		news, err := revoked.Add(r, trust, now)
		require.NoError(t, err, name)
		require.True(t, news, name)
		_, err = Verify(shown, nodeKey.Peer(), trust, &revoked, now)
		require.ErrorIs(t, err, ErrRevoked, name)
		_, err = revoked.Add(revoking(cloudKey, strange.Peer(), 2*time.Minute), trust, now)
		require.ErrorIs(t, err, ErrExpired, "dated after the end of the key")
	}
}

// TestWhatIsRenewedIsRemembered: as long as a certificate is young enough to be renewed, nobody has forgotten a revocation
// of it, though clocks differ.
func TestWhatIsRenewedIsRemembered(t *testing.T) {
	trust := NewTrust(cloud, cloudKey.Peer())
	rapid.Check(t, func(t *rapid.T) {
		begins := time.Duration(rapid.Int64Range(-500, 500).Draw(t, "begins")) * time.Hour
		since := time.Duration(rapid.Int64Range(0, 401*24*60).Draw(t, "since")) * time.Minute
		skew := time.Duration(rapid.Int64Range(-300, 300).Draw(t, "skew")) * time.Second
		var r Revocations
		_, err := r.Add(revoking(cloudKey, nodeKey.Peer(), begins), trust, noon.Add(begins))
		require.NoError(t, err)
		r.Forget(noon.Add(begins + since + skew))
		if Remembered(at(begins), noon.Add(begins+since)) {
			require.Equal(t, 1, r.Len())
		} else {
			require.Greater(t, since, ValidityMax-2*SkewMax, "and it is so for long")
		}
	})
}

func TestRevocationsAreBounded(t *testing.T) {
	trust := NewTrust(cloud, cloudKey.Peer())
	var r Revocations
	for n := range issuersMax + 1 {
		_, err := r.Add(revoking(transport.NewIdentity([]byte(fmt.Sprint("issuer", n))), nodeKey.Peer(), 0), trust, noon)
		if n < issuersMax {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, ErrMalformed)
		}
	}
	require.Equal(t, issuersMax, r.Len())
	r.len = revocationsMax - 1
	news, err := r.Add(revoking(cloudKey, strange.Peer(), -time.Hour), trust, noon)
	require.NoError(t, err)
	require.True(t, news)
	_, err = r.Add(revoking(cloudKey, issuerKey.Peer(), 0), trust, noon)
	require.ErrorIs(t, err, ErrMalformed)
	require.Equal(t, revocationsMax, r.Len())
	news, err = r.Add(revoking(cloudKey, strange.Peer(), 0), trust, noon)
	require.NoError(t, err, "what is known is brought up to date without room")
	require.True(t, news)
	require.Equal(t, revocationsMax, r.Len())
}

// Whoever has heard the same revocations, in any order and some more than once, has
// the same set.
func TestRevocationsConverge(t *testing.T) {
	trust := NewTrust(cloud, cloudKey.Peer())
	signers := []transport.Identity{cloudKey, issuerKey, transport.NewIdentity([]byte("second issuer"))}
	subjects := []transport.Peer{nodeKey.Peer(), strange.Peer(), issuerKey.Peer()}
	rapid.Check(t, func(t *rapid.T) {
		var all []Revoking
		for range rapid.IntRange(1, 8).Draw(t, "n") {
			before := -time.Duration(rapid.IntRange(0, 5).Draw(t, "before")) * time.Minute
			all = append(all, revoking(rapid.SampledFrom(signers).Draw(t, "by"), rapid.SampledFrom(subjects).Draw(t, "of"), before))
		}
		var a, b Revocations
		for _, s := range all {
			_, err := a.Add(s, trust, noon)
			require.NoError(t, err)
		}
		for _, s := range append(rapid.Permutation(all).Draw(t, "order"), all[0]) {
			_, err := b.Add(s, trust, noon)
			require.NoError(t, err)
		}
		require.Equal(t, a.All(), b.All())
		require.Equal(t, a.Len(), b.Len())
		require.Len(t, a.All(), a.Len())
		for _, c := range []Certificate{node(), issuing()} {
			require.Equal(t, a.has(c), b.has(c))
		}
	})
}

func ticket(change func(*Invitation)) Ticket {
	secret := []byte("a seed of an invitation")
	i := Invitation{
		Cloud: cloud, ID: 9, Key: transport.NewIdentity(secret).Peer(), Services: []string{"hoarder", "monkey"},
		NotAfter: at(time.Hour), Uses: 2, AdmittedBy: issuerKey.Peer(),
	}
	change(&i)
	return Ticket{Invitation: sign(issuerKey, forInvitation, i), Secret: secret, CloudKey: cloudKey.Peer(), Addresses: []string{"/ip4/203.0.113.7/tcp/4242"}}
}

func TestAdmission(t *testing.T) {
	trust := NewTrust(cloud, cloudKey.Peer())
	issuer := sign(cloudKey, forCertificate, issuing())
	none := func(*Invitation) {}
	ask := func(t Ticket, services ...string) Signed { return Admit(t, nodeKey.Peer(), "monkey-1", services) }
	others := []transport.Peer{strange.Peer(), cloudKey.Peer()}
	for name, c := range map[string]struct {
		request Signed
		peer    transport.Peer
		issuer  *Signed
		used    []transport.Peer
		now     time.Duration
		err     error
	}{
		"as invited":                {request: ask(ticket(none), "monkey")},
		"the second":                {request: ask(ticket(none), "monkey"), used: others[:1]},
		"one too many":              {request: ask(ticket(none), "monkey"), used: others, err: ErrUsedUp},
		"again":                     {request: ask(ticket(none), "monkey"), used: []transport.Peer{strange.Peer(), nodeKey.Peer()}},
		"by who has overheard it":   {request: ask(ticket(none), "monkey"), peer: strange.Peer(), err: ErrSubject},
		"for another service":       {request: ask(ticket(none), "patrick"), err: ErrInvitation},
		"services out of order":     {request: ask(ticket(none), "monkey", "hoarder"), err: ErrInvitation},
		"without the secret":        {request: sign(strange, forAdmission, Admission{ticket(none).Invitation, nodeKey.Peer(), "n", nil}), err: ErrInvitation},
		"at another issuer":         {request: ask(ticket(func(i *Invitation) { i.AdmittedBy = strange.Peer() }), "monkey"), err: ErrInvitation},
		"to another cloud":          {request: ask(ticket(func(i *Invitation) { i.Cloud = "else.example.com" }), "monkey"), err: ErrOtherCloud},
		"too late":                  {request: ask(ticket(none), "monkey"), now: time.Hour + time.Second, err: ErrExpired},
		"in the last second":        {request: ask(ticket(func(i *Invitation) { i.NotAfter = at(time.Minute) }), "monkey"), now: time.Minute},
		"of more than may be given": {request: ask(ticket(func(i *Invitation) { i.Services = []string{"monkey", "patrick"} }), "monkey"), err: ErrNotTrusted},
		"for nobody":                {request: ask(ticket(func(i *Invitation) { i.Uses = 0 }), "monkey"), err: ErrMalformed},
		"for too many":              {request: ask(ticket(func(i *Invitation) { i.Uses = usesMax + 1 }), "monkey"), err: ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			peer := nodeKey.Peer()
			if !c.peer.IsZero() {
				peer = c.peer
			}
			a, i, err := CheckAdmission(c.request, peer, issuerKey.Peer(), trust, &issuer, func(uint64) []transport.Peer { return c.used }, noon.Add(c.now))
			require.ErrorIs(t, err, c.err)
			if c.err == nil {
				require.Equal(t, "monkey-1", a.Name)
				require.Equal(t, uint64(9), i.ID)
			}
		})
	}
	foreign := ticket(none)
	i, err := openInvitation(foreign.Invitation)
	require.NoError(t, err)
	foreign.Invitation = sign(strange, forInvitation, i)
	_, _, err = CheckAdmission(ask(foreign, "monkey"), nodeKey.Peer(), issuerKey.Peer(), trust, &issuer, func(uint64) []transport.Peer { return nil }, noon)
	require.ErrorIs(t, err, ErrNotTrusted)
	foreign.Invitation = must(Invite(cloudKey, i))
	_, _, err = CheckAdmission(ask(foreign, "monkey"), nodeKey.Peer(), issuerKey.Peer(), trust, &issuer, func(uint64) []transport.Peer { return nil }, noon)
	require.NoError(t, err, "the cloud key invites, too")
}

func TestInvitationBounds(t *testing.T) {
	for name, change := range map[string]func(*Invitation){
		"no cloud":     func(i *Invitation) { i.Cloud = "" },
		"a long cloud": func(i *Invitation) { i.Cloud = strings.Repeat("c", cloudLenMax+1) },
		"no key":       func(i *Invitation) { i.Key = transport.Peer{} },
		"no issuer":    func(i *Invitation) { i.AdmittedBy = transport.Peer{} },
		"before 1970":  func(i *Invitation) { i.NotAfter = -1 },
		"unsorted":     func(i *Invitation) { i.Services = []string{"tns", "monkey"} },
	} {
		_, err := openInvitation(ticket(change).Invitation)
		require.ErrorIs(t, err, ErrMalformed, name)
		i, _ := openInvitation(ticket(func(*Invitation) {}).Invitation)
		change(&i)
		_, err = Invite(issuerKey, i)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
	longest := func(i *Invitation) { i.Cloud, i.Uses, i.NotAfter = strings.Repeat("c", cloudLenMax), usesMax, 0 }
	_, err := openInvitation(ticket(longest).Invitation)
	require.NoError(t, err)
	_, err = Issue(cloudKey, Certificate{})
	require.ErrorIs(t, err, ErrMalformed)
	_, _, err = CheckAdmission(Signed{By: strange.Peer()}, strange.Peer(), issuerKey.Peer(), NewTrust(cloud, cloudKey.Peer()), nil, func(uint64) []transport.Peer { return nil }, noon)
	require.ErrorIs(t, err, ErrSignature)
}

func TestTicket(t *testing.T) {
	x := ticket(func(*Invitation) {})
	text := x.Text()
	back, err := ParseTicket(" " + text + "\n")
	require.NoError(t, err)
	require.Equal(t, x, back)
	for _, s := range []string{fmt.Sprint(x), fmt.Sprintf("%+v %#v", x, x)} {
		require.NotContains(t, s, "seed")
		require.NotContains(t, s, text[len(ticketPrefix):])
	}
	for bad, says := range map[string]string{ticketPrefix + "0OIl": "a letter is wrong", text[:len(text)-3]: "not whole"} {
		_, err := ParseTicket(bad)
		require.ErrorContains(t, err, says)
	}
	fullest := x
	for range addressesMax {
		fullest.Addresses = append(fullest.Addresses[:len(fullest.Addresses):len(fullest.Addresses)], strings.Repeat("a", addressLenMax))
	}
	fullest.Addresses = fullest.Addresses[1:]
	back, err = ParseTicket(fullest.Text())
	require.NoError(t, err)
	require.Equal(t, fullest, back)
	longer := x
	longer.Addresses = []string{strings.Repeat("a", addressLenMax+1), "short"}
	forged := x
	forged.Invitation.Signature = nil
	opened, err := OpenInvitation(x.Invitation)
	require.NoError(t, err)
	require.EqualValues(t, 9, opened.ID)
	_, err = OpenInvitation(forged.Invitation)
	require.ErrorIs(t, err, ErrSignature)
	stolen := x
	stolen.Secret = []byte("another")
	wide := x
	wide.Addresses = make([]string, addressesMax+1)
	for _, bad := range []string{"", "tau-invitation-", text[1:], text[:len(text)-3], ticketPrefix + "0OIl", text + strings.Repeat("1", ticketLenMax+1-len(text)), stolen.Text(), wide.Text(), longer.Text(), forged.Text()} {
		_, err := ParseTicket(bad)
		require.ErrorIs(t, err, ErrMalformed)
		require.Equal(t, !strings.HasPrefix(bad, ticketPrefix) || len(bad) > ticketLenMax, strings.Contains(err.Error(), "begins with"), bad)
		require.NotContains(t, errors.Unwrap(err).Error()+err.Error(), text[len(ticketPrefix)+4:len(ticketPrefix)+20])
	}
}

func FuzzPresented(f *testing.F) {
	f.Add(transport.Encode(issued(issuerKey, cloudKey, func(_, _ *Certificate) {})))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p Presented
		if transport.Decode(raw, &p) != nil {
			return
		}
		if _, err := Verify(p, strange.Peer(), NewTrust(cloud, cloudKey.Peer()), nil, noon); err == nil {
			t.Fatal("a stranger is a member")
		}
	})
}

func FuzzTicket(f *testing.F) {
	f.Add(ticket(func(*Invitation) {}).Text())
	f.Fuzz(func(t *testing.T, text string) { _, _ = ParseTicket(text) })
}

// TestWhoIsAskedToComeIn: who has made the invitation first, then the others that honour it, each where the ticket says.
func TestWhoIsAskedToComeIn(t *testing.T) {
	with := []transport.Peer{strange.Peer(), cloudKey.Peer(), nodeKey.Peer()}
	slices.SortFunc(with, transport.Peer.Compare)
	x := ticket(func(i *Invitation) { i.With = with })
	x.Others = []Contact{{with[0], []string{"first"}}, {with[2], []string{"third"}}, {issuerKey.Peer(), []string{"not in it"}}}
	require.Equal(t, []Contact{{issuerKey.Peer(), x.Addresses}, {with[0], []string{"first"}}, {Peer: with[1]}, {with[2], []string{"third"}}}, x.Contacts())
	x.Invitation.Signature = nil
	require.Empty(t, x.Contacts(), "nobody is asked for what is forged")
}
