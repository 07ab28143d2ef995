package credentials_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/credentials"
	"github.com/taucloud/tau/transport/membership"
)

// FuzzAdmit: whatever a peer shows, it is no member by it, and those who are stay so.
func FuzzAdmit(f *testing.F) {
	good := transport.NewIdentity([]byte("good"))
	synthetic := func(by transport.Identity) membership.Presented {
		s, err := membership.Issue(by, membership.Certificate{Cloud: cloud, Serial: 1, Subject: good.Peer(), Name: "n", Services: []string{"monkey"}, NotAfter: 1 << 20})
		require.NoError(f, err)
		return membership.Presented{Certificate: s, Rotations: []membership.Signed{membership.Rotate(by, membership.Rotation{Cloud: cloud, To: laterKey.Peer()})}}
	}
	f.Add(transport.Encode(synthetic(cloudKey)))
	f.Add(transport.Encode(synthetic(laterKey)))
	f.Fuzz(func(t *testing.T, shown []byte) {
		synctest.Test(t, func(t *testing.T) {
			l := clock.NewLive()
			defer l.Stop(0)
			a := credentials.New(l, good.Peer(), membership.NewTrust(cloud, cloudKey.Peer()))
			bad := transport.NewIdentity([]byte("bad")).Peer()
			if a.Admit(bad, shown) == nil {
				t.Fatal("a stranger is a member")
			}
			if _, known := a.Grants(bad); known {
				t.Fatal("a stranger has grants")
			}
		})
	})
}
