package seerapi

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
)

func FuzzDecodeBeacon(f *testing.F) {
	f.Add(BeaconMessage{Life: 1, At: 2, Revision: 3}.Encode())
	f.Add(BeaconMessage{Life: 1, At: -2, Announcement: &Announcement{Name: "n", Services: []string{"tns"}, Usage: map[string]int64{"a": 1}}}.Encode())
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := DecodeBeacon(raw)
		if err != nil {
			require.Equal(t, transport.Invalid, transport.KindOf(err))
			return
		}
		again, err := DecodeBeacon(m.Encode())
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}
