package seer

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/transport"
)

func FuzzDecodeBeacon(f *testing.F) {
	f.Add(beaconMessage{Life: 1, At: 2, Revision: 3}.encode())
	f.Add(beaconMessage{Life: 1, At: -2, Announcement: &announcement{Name: "n", Services: []string{"tns"}, Usage: map[string]int64{"a": 1}}}.encode())
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := decodeBeacon(raw)
		if err != nil {
			require.Equal(t, transport.Invalid, transport.KindOf(err))
			return
		}
		again, err := decodeBeacon(m.encode())
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}

// TestBeaconGolden: what was once sent stays readable. A change of the encoding
// needs a name of its own beside beaconNote.
func TestBeaconGolden(t *testing.T) {
	want := beaconMessage{Life: 1 << 40, At: time.Second, Revision: 3, Announcement: &announcement{Name: "n"}}
	const head = "0000010000000000000000003b9aca000000000000000003"
	full := want.encode()
	require.Equal(t, head, hex.EncodeToString(full[:headLen]))
	raw, err := hex.DecodeString(head)
	require.NoError(t, err)
	got, err := decodeBeacon(append(raw, transport.Encode(want.Announcement)...))
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = decodeBeacon(raw)
	require.NoError(t, err)
	want.Announcement = nil
	require.Equal(t, want, got)
}
