package node_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/storage"
)

// A range bounds numbers of every kind, and a range that is none is a bug.
func TestRangesOfEveryKind(t *testing.T) {
	type all struct {
		A int            `range:"1..5"`
		B int8           `range:"1..5"`
		C int16          `range:"1..5"`
		D int32          `range:"1..5"`
		E int64          `range:"1..5"`
		F uint           `range:"1..5"`
		G uint8          `range:"1..5"`
		H uint16         `range:"1..5"`
		I uint32         `range:"1..5"`
		J uint64         `range:"1..5"`
		K float32        `range:"1..5"`
		L float64        `range:"1..5"`
		M string         `range:"1..5"`
		N []int          `range:"1..5"`
		O map[string]int `range:"1..5"`
	}
	good, bad := all{1, 5, 1, 5, 1, 5, 1, 5, 1, 5, 1, 5, "12345", []int{1}, map[string]int{"a": 1}}, all{6, 0, 6, 0, 6, 0, 6, 0, 6, 0, 6, 0.5, "", make([]int, 6), nil}
	for i := range reflect.TypeFor[all]().NumField() {
		r, bounded := node.RangeOf(reflect.TypeFor[all]().Field(i))
		require.True(t, bounded)
		require.Empty(t, r.Check(reflect.ValueOf(good).Field(i)), i)
		require.NotEmpty(t, r.Check(reflect.ValueOf(bad).Field(i)), i)
	}
	for _, broken := range []any{
		struct {
			A int `range:"x..5"`
		}{}, struct {
			A int `range:"1..x"`
		}{}, struct {
			A int `range:"5..1"`
		}{}, struct {
			A int `range:"5"`
		}{},
		struct {
			A int `range:"KiB..5"`
		}{},
	} {
		require.Panics(t, func() { node.RangeOf(reflect.TypeOf(broken).Field(0)) }, "%T", broken)
	}
}

// A service that is configured by nobody has its defaults; what it says at its end is told
// to who ends the node.
func TestDefaultsAndEnds(t *testing.T) {
	type settings struct{ N int }
	var got any
	m := &machine{}
	stops := errors.New("it does not stop well")
	n, err := m.start(t, node.Spec{
		Name: "a", Settings: func() any { return &settings{7} },
		New: func(_ node.Env, set any) (node.Service, error) { got = set; return &scripted{stop: stops}, nil },
	})
	require.NoError(t, err)
	require.Equal(t, &settings{7}, got)
	done := make(chan error, 1)
	m.main.Go("stop", func(ctx context.Context) { done <- n.Stop(ctx) })
	require.ErrorIs(t, <-done, stops)
	nodetest.Run(t, func(c *nodetest.Cloud) {
		c.Add("one", node.Configured{Spec: nodetest.Part("s", func(e node.Env) {
			_, err := e.OpenReplicated(context.Background(), "main", storage.DefaultHistory())
			require.NoError(t, err)
		})}).Start()
		for _, f := range c.Facts("replica-state") {
			require.NotEmpty(t, f.Fields["state"])
		}
		require.NotEmpty(t, c.Facts("replica-state"))
	})
}
