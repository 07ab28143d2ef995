package storage_test

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/storage"
)

func TestIdentity(t *testing.T) {
	sum := func(i *storage.Identity) string { return hex.EncodeToString(i.Sum()[:8]) }
	// What is stored has these names: they never change.
	require.Equal(t, "e3b0c44298fc1c14", sum(storage.NewIdentity()))
	ab := sum(storage.NewIdentity().Text("a").Text("b").Number(7))
	require.Equal(t, ab, sum(storage.NewIdentity().Bytes([]byte("a")).Text("b").Number(7)))
	for name, other := range map[string]*storage.Identity{
		"run together": storage.NewIdentity().Text("ab").Text("").Number(7),
		"another way":  storage.NewIdentity().Text("b").Text("a").Number(7),
		"number":       storage.NewIdentity().Text("a").Text("b").Number(8),
		"fewer":        storage.NewIdentity().Text("a").Text("b"),
	} {
		require.NotEqual(t, ab, sum(other), name)
	}
}
