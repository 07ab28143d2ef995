package seerapi

import (
	"encoding/hex"
	"testing"
	"time"

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

// TestBeaconGolden: what was once sent stays readable. A change of the encoding
// needs a name of its own beside Beacon.
func TestBeaconGolden(t *testing.T) {
	want := BeaconMessage{Life: 1 << 40, At: time.Second, Revision: 3, Announcement: &Announcement{Name: "n"}}
	const head = "0000010000000000000000003b9aca000000000000000003"
	full := want.Encode()
	require.Equal(t, head, hex.EncodeToString(full[:headLen]))
	raw, err := hex.DecodeString(head)
	require.NoError(t, err)
	got, err := DecodeBeacon(append(raw, transport.Encode(want.Announcement)...))
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = DecodeBeacon(raw)
	require.NoError(t, err)
	want.Announcement = nil
	require.Equal(t, want, got)
}
