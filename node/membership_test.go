package node

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/localkv"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport/credentials"
	"github.com/taucloud/tau/transport/membership"
)

// fragile is a store that cannot read or write below a key.
type fragile struct {
	storage.Local
	at storage.Key
}

var errFragile = errors.New("broken")

func (f fragile) Get(k storage.Key) ([]byte, error) {
	if k == f.at {
		return nil, errFragile
	}
	return f.Local.Get(k)
}

func (f fragile) List(k storage.Key) ([]storage.Entry, error) {
	if k == f.at {
		return nil, errFragile
	}
	return f.Local.List(k)
}

func (f fragile) Apply(b *storage.Batch) error {
	for _, w := range b.Writes() {
		if w.Key.Has(f.at) {
			return errFragile
		}
	}
	return f.Local.Apply(b)
}

func aStore(t *testing.T) storage.Local {
	loop := clock.NewLive()
	t.Cleanup(func() { loop.Stop(0) })
	local, err := localkv.Open(loop, memdisk.New(), storage.K("x"))
	require.NoError(t, err)
	return local
}

func anAuthority() *credentials.Authority {
	loop := clock.NewLive()
	loop.Stop(0) // only its clock is used
	return credentials.New(loop, identity(0).Peer(), membership.NewTrust("c", identity(1).Peer()))
}

// certified is a certificate of this node that begins so long ago.
func certified(t *testing.T, subject int, ago time.Duration) *membership.Presented {
	begins := time.Now().Add(-ago).Unix()
	signed, err := membership.Issue(identity(1), membership.Certificate{Cloud: "c", Subject: identity(subject).Peer(), Name: "n", NotBefore: begins, NotAfter: begins + 99999})
	require.NoError(t, err)
	return &membership.Presented{Certificate: signed}
}

// A node shows the later one of the certificate that it was given and the one that it has kept.
func TestWhichCertificateIsShown(t *testing.T) {
	now := time.Minute
	nonsense := &membership.Presented{Certificate: membership.Signed{Body: []byte("nonsense")}}
	older, newer, another := certified(t, 0, now+time.Second), certified(t, 0, now), certified(t, 2, 0)
	for name, c := range map[string]struct {
		kept, given, want *membership.Presented
		fails             bool
	}{
		"none":                            {nil, nil, nil, false},
		"the given one":                   {nil, newer, newer, false},
		"the kept one":                    {newer, nil, newer, false},
		"the kept one, which is later":    {newer, older, newer, false},
		"the given one, which is later":   {older, newer, newer, false},
		"the kept one, if given nonsense": {older, nonsense, older, false},
		"the given one, if kept nonsense": {nonsense, older, older, false},
		"no other node's":                 {nil, another, nil, true},
		"no nonsense":                     {nil, nonsense, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			local, a := aStore(t), anAuthority()
			if c.kept != nil {
				require.NoError(t, KeepCertificate(local, *c.kept))
			}
			err := loadMembership(local, a, c.given)
			if c.fails {
				require.ErrorContains(t, err, "the certificate that this node was given")
				return
			}
			require.NoError(t, err)
			own, _ := a.Own()
			if c.want == nil {
				require.Empty(t, own.Certificate.Signature)
			} else {
				require.Equal(t, *c.want, own)
			}
		})
	}
	twin, err := newer.Says()
	require.NoError(t, err)
	twin.Name = "twin"
	signed, err := membership.Issue(identity(1), twin)
	require.NoError(t, err)
	require.True(t, later(membership.Presented{Certificate: signed}, newer), "of one second, the kept one")
}

// What was kept is known again; what cannot be read is left out, and what the disk does not give is an error.
func TestWhatWasKeptIsKnownAgain(t *testing.T) {
	now := time.Now().Unix()
	rotations := []membership.Signed{
		membership.Rotate(identity(1), membership.Rotation{Cloud: "c", To: identity(2).Peer(), Until: now + 9999}),
		membership.Rotate(identity(2), membership.Rotation{Cloud: "c", To: identity(3).Peer(), Until: now + 9999}),
	}
	var revocations []membership.Revoking
	for i := range 3 {
		revocations = append(revocations, membership.Revoking{Revocation: membership.Revoke(identity(1), membership.Revocation{Cloud: "c", Subject: identity(i + 5).Peer(), Before: now})})
	}
	local := aStore(t)
	require.NoError(t, KeepRotations(local, rotations))
	require.NoError(t, KeepRevocations(local, revocations))
	require.NoError(t, KeepCertificate(local, *certified(t, 0, 0)))
	again := membership.Revoking{Revocation: membership.Revoke(identity(1), membership.Revocation{Cloud: "c", Subject: identity(5).Peer(), Before: now + 1})}
	require.NoError(t, KeepRevocations(local, []membership.Revoking{again}), "in place of the earlier one")
	kept, err := local.List(revokedKey())
	require.NoError(t, err)
	require.Len(t, kept, 3)
	require.NoError(t, storage.Put(local, storage.K("revoked", "strange"), []byte("nonsense")))
	a := anAuthority()
	require.NoError(t, loadMembership(local, a, nil))
	require.Equal(t, rotations, a.Rotations())
	for i := range 3 {
		require.True(t, a.Revoked(identity(i+5).Peer()))
	}
	require.Len(t, a.Revocations(), 3)
	for _, at := range []storage.Key{certificateKey(), rotationsKey(), revokedKey()} {
		require.ErrorIs(t, loadMembership(fragile{local, at}, anAuthority(), nil), errFragile)
		broken := fragile{local, at}
		require.Equal(t, at == certificateKey(), errors.Is(KeepCertificate(broken, *certified(t, 0, 0)), errFragile))
		require.Equal(t, at == rotationsKey(), errors.Is(KeepRotations(broken, rotations), errFragile))
		require.Equal(t, at == revokedKey(), errors.Is(KeepRevocations(broken, revocations), errFragile))
	}
	for _, k := range []storage.Key{certificateKey(), rotationsKey()} {
		require.NoError(t, storage.Put(local, k, []byte("nonsense")))
	}
	a = anAuthority()
	require.NoError(t, loadMembership(local, a, nil))
	require.Empty(t, a.Rotations())
	own, _ := a.Own()
	require.Empty(t, own.Certificate.Signature)
}
