package hoarder

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
)

// TestPinIDNeverChanges: pins are stored under it, by every release.
func TestPinIDNeverChanges(t *testing.T) {
	m := pinRecord{Kind: hoarderapi.Database, Target: 2, Seq: 3, For: 4, Owner: "o", Name: "n", Version: 5}
	require.Equal(t, "5Rv5pdP8", pinID(m))
	require.Equal(t, "iBytZYsXFJx-j0_z", ownerID("o", "n"))
	require.NotEqual(t, ownerID("on", ""), ownerID("o", "n"))
	hints := m
	hints.Size, hints.Demand, hints.Sources = 9, 9, []transport.Peer{{1}}
	require.Equal(t, pinID(m), pinID(hints), "hints are not part of it")
	for name, change := range map[string]func(*pinRecord){
		"kind":    func(m *pinRecord) { m.Kind = hoarderapi.Asset },
		"target":  func(m *pinRecord) { m.Target++ },
		"seq":     func(m *pinRecord) { m.Seq++ },
		"for":     func(m *pinRecord) { m.For++ },
		"owner":   func(m *pinRecord) { m.Owner = "" },
		"name":    func(m *pinRecord) { m.Name = "" },
		"version": func(m *pinRecord) { m.Version++ },
	} {
		other := m
		change(&other)
		require.NotEqual(t, pinID(m), pinID(other), name)
	}
}
