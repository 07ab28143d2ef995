package words

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/scenario"
)

// TestAttackersAreChecked: what is wrong with those who attack is said before the run.
func TestAttackersAreChecked(t *testing.T) {
	const whole = `name: x
duration: 10s
nodes: [{name: core, services: [seer, tns]}, {name: judas, count: 2, bad: [monkey]}]
strangers: [{name: mallory}]
timeline: [{at: 1s, attack: {by: mallory, do: knock}}]
`
	parse := func(old, changed string) error {
		require.Contains(t, whole, old)
		_, err := scenario.Parse("x.yaml", []byte(strings.Replace(whole, old, changed, 1)), Vocabulary())
		return err
	}
	require.NoError(t, parse("knock", "garbage"))
	require.NoError(t, parse("by: mallory", "by: judas"))
	require.NoError(t, parse("by: mallory", "by: judas-2"))
	for _, c := range []struct{ old, changed, want string }{
		{"by: mallory", "by: core", "does not attack"},
		{"by: mallory", "by: malory", "no node is called"},
		{"by: mallory, ", "", "by"},
		{"do: knock", "do: nock", "is no attack"},
		{"{name: mallory}", "{name: mallory, services: [tns]}", "strangers have no services"},
		{"{name: mallory}", "{name: mallory, bad: [tns]}", "strangers have no bad"},
		{"bad: [monkey]", "bad: [monky]", "monky"},
		{"bad: [monkey]", "services: [monkey], bad: [monkey]", "given twice"},
		{"{name: mallory}", "{name: core}", "two groups of nodes are called"},
	} {
		err := parse(c.old, c.changed)
		require.ErrorContains(t, err, c.want, c.changed)
		require.Regexp(t, `^x.yaml:\d+:\d+: `, err.Error())
	}
	quiet := strings.NewReplacer("strangers: [{name: mallory}]\n", "", ", {name: judas, count: 2, bad: [monkey]}", "").Replace(whole)
	_, err := scenario.Parse("x.yaml", []byte(quiet), Vocabulary())
	require.ErrorContains(t, err, "nobody here attacks")
}
