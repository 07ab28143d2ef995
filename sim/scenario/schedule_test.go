package scenario

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSchedule(t *testing.T) {
	read := func(text string) (*Scenario, error) {
		return Parse("a.yaml", []byte("duration: 1m\nschedule: "+text+"\nnodes: [{name: a, services: [seer]}]\n"), testWords())
	}
	for text, want := range map[string]Schedule{
		"uniform":                      {},
		"pct":                          {Kind: "pct", Depth: 3, Steps: stepsDefault},
		"{pct: {depth: 2, steps: 50}}": {Kind: "pct", Depth: 2, Steps: 50},
		"{delay-bounded: {delays: 7}}": {Kind: "delay-bounded", Delays: 7, Steps: stepsDefault},
	} {
		s, err := read(text)
		require.NoError(t, err, text)
		require.Equal(t, want, s.Schedule)
		again, err := read(s.Schedule.String())
		require.NoError(t, err)
		require.Equal(t, want, again.Schedule)
	}
	for text, why := range map[string]string{
		"pcd":                    `a.yaml:2:11: unknown schedule "pcd"`,
		"{pct: {depth: 0}}":      "depth: ",
		"{pct: {deph: 2}}":       `unknown key "deph" in pct`,
		"{uniform: {depth: 2}}":  "uniform has no parameters",
		"{pct: {}, uniform: {}}": "expected one strategy",
		"[pct]":                  "expected one strategy",
	} {
		_, err := read(text)
		require.ErrorContains(t, err, why, text)
	}
}
