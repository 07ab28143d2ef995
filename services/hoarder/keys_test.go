package hoarder

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/transport"
)

// TestMarkIDNeverChanges: marks are stored under it, by every release.
func TestMarkIDNeverChanges(t *testing.T) {
	m := markRecord{Kind: hoarderapi.Database, Target: 2, Seq: 3, For: 4, Owner: "o", Name: "n", Version: 5}
	require.Equal(t, "5Rv5pdP8", markID(m))
	require.Equal(t, "iBytZYsXFJx-j0_z", ownerID("o", "n"))
	require.NotEqual(t, ownerID("on", ""), ownerID("o", "n"))
	hints := m
	hints.Size, hints.Demand, hints.Sources = 9, 9, []transport.Peer{{1}}
	require.Equal(t, markID(m), markID(hints), "hints are not part of it")
	for name, change := range map[string]func(*markRecord){
		"kind":    func(m *markRecord) { m.Kind = hoarderapi.Asset },
		"target":  func(m *markRecord) { m.Target++ },
		"seq":     func(m *markRecord) { m.Seq++ },
		"for":     func(m *markRecord) { m.For++ },
		"owner":   func(m *markRecord) { m.Owner = "" },
		"name":    func(m *markRecord) { m.Name = "" },
		"version": func(m *markRecord) { m.Version++ },
	} {
		other := m
		change(&other)
		require.NotEqual(t, markID(m), markID(other), name)
	}
}
