package fail

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseAction(t *testing.T) {
	for text, want := range map[string]Action{
		"crash":        {Do: Crash},
		" error ":      {Do: Error},
		"drop":         {Do: Drop},
		"delay 3s":     {Do: Delay, Delay: 3 * time.Second},
		"panic":        {Do: Panic},
		"hang":         {Do: Hang},
		"delay  1m30s": {Do: Delay, Delay: 90 * time.Second},
	} {
		got, err := ParseAction(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := ParseAction(got.String())
		require.NoError(t, err)
		require.Equal(t, want, again)
	}
	for _, bad := range []string{"", "crash now", "delay", "delay -1s", "delay 3", "panic now", "sleep(3)"} {
		_, err := ParseAction(bad)
		require.Error(t, err, "%q", bad)
	}
}

var testPoint = Register("fail-test/point", "only here")

func TestRulesApplyByNodeAndCount(t *testing.T) {
	p := testPoint
	_, err := Enable(Rule{Point: "fail-test/none", Do: Action{Do: Crash}})
	require.Error(t, err, "there is no such point")

	disable, err := Enable(Rule{Point: p.Name(), Do: Action{Do: Drop}, Times: 2, Nodes: func(n string) bool { return n == "a" }})
	require.NoError(t, err)
	hit := func(node string) bool {
		action, on := p.decide(t.Context(), node)
		return on && action.Do == Drop
	}
	require.False(t, hit("b"), "the rule is for a")
	require.True(t, hit("a"))
	require.True(t, hit("a"))
	require.False(t, hit("a"), "twice only")
	require.Equal(t, 2, Hits()[p.Name()])

	again, err := Enable(Rule{Point: p.Name(), Do: Action{Do: Drop}})
	require.NoError(t, err)
	disable()
	require.True(t, hit("b"), "one rule ends, the other goes on")
	again()
	again()
	require.False(t, hit("b"))
	require.Zero(t, active.Load())
	ResetHits()
	require.Empty(t, Hits())
}

var otherPoint = Register("fail-test/other", "only here, too")

// A rule is about one point, whatever others are enabled, and the first that applies acts.
func TestRulesAreOfOnePoint(t *testing.T) {
	var ends []func()
	for _, r := range []Rule{
		{Point: testPoint.Name(), Do: Action{Do: Drop}, Times: 1}, {Point: otherPoint.Name(), Do: Action{Do: Error}}, {Point: testPoint.Name(), Do: Action{Do: Delay, Delay: time.Second}},
	} {
		end, err := Enable(r)
		require.NoError(t, err)
		ends = append(ends, end)
	}
	act := func(p *Point) Action {
		action, on := p.decide(t.Context(), "n")
		require.True(t, on)
		return action
	}
	require.Equal(t, Action{Do: Error}, act(otherPoint))
	require.Equal(t, Action{Do: Drop}, act(testPoint))
	require.Equal(t, Action{Do: Delay, Delay: time.Second}, act(testPoint))
	require.Equal(t, map[string]int{testPoint.Name(): 2, otherPoint.Name(): 1}, Hits())
	ResetHits()
	for _, end := range ends {
		end()
	}
	for _, p := range []*Point{testPoint, otherPoint} {
		_, on := p.decide(t.Context(), "n")
		require.False(t, on)
	}
	names := []string{}
	for _, p := range Points() {
		names = append(names, p.Name())
	}
	require.Equal(t, []string{"fail-test/other", "fail-test/point"}, names)
	require.Panics(t, func() { Register(testPoint.Name(), "again") })
}
