package words

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/run"
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

// TestAttacksOverlap: each attack three times at once, by strangers and by members, on whom is down too, by one who is
// restarted meanwhile, and in the last moment of a story. None is an accident of its own.
func TestAttacksOverlap(t *testing.T) {
	kinds := strings.Split(regexp.MustCompile(`there are (.*)`).FindStringSubmatch(whatAttacksAre(t))[1], ", ")
	require.Len(t, kinds, 15)
	var attacks, patricks strings.Builder
	for _, kind := range kinds {
		list := fmt.Sprintf("  - {at: 4s, every: 500ms, times: 3, attack: {by: \"*s\", do: %[1]s, count: 3}}\n"+
			"  - {at: 4s, every: 500ms, times: 3, attack: {by: mallory, do: %[1]s, count: 3}}\n"+
			"  - {at: 9s, every: 1s, times: 2, attack: {by: judas, do: %[1]s, count: 3}}\n"+
			"  - {at: 13999ms, attack: {by: judas, do: %[1]s, count: 3}}\n"+
			"  - {at: 13999ms, attack: {by: mallory, do: %[1]s, count: 3}}\n", kind)
		attacks.WriteString(list)
		if kind != "fence" { // which a bad patrick may: docs/what-a-bad-member-can-do.md
			patricks.WriteString(list)
		}
	}
	s, err := scenario.Parse("overlap.yaml", []byte(`name: overlap
duration: 14s
nodes:
  - {name: core, count: 2, services: [seer, tns, patrick, hoarder]}
  - {name: monkey, services: [monkey]}
  - {name: judas, bad: [monkey, hoarder]}
  - {name: brutus, bad: [patrick, seer]}
strangers: [{name: mallory}]
timeline:
  - {at: 3s, crash: core-2, for: 5s}
  - {at: 5s, crash: judas, for: 1s}
`+strings.ReplaceAll(patricks.String(), "*s", "brutus")+strings.ReplaceAll(attacks.String(), "*s", "judas")+`
`), Vocabulary())
	require.NoError(t, err)
	o := run.Of(s)
	o.Wire = scenario.Direct
	result := run.Run(s, Vocabulary(), o)
	require.Equal(t, report.Held, result.Verdict, "%+v", result.Expectations)
}

// whatAttacksAre is the message that lists them.
func whatAttacksAre(t *testing.T) string {
	_, err := scenario.Parse("x.yaml", []byte("name: x\nduration: 1s\nnodes: [{name: a, services: [seer]}]\nstrangers: [{name: m}]\ntimeline: [{at: 0s, attack: {by: m, do: nothing}}]\n"), Vocabulary())
	require.Error(t, err)
	return err.Error()
}
