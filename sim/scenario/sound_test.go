package scenario

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnsoundWordsAreRefused(t *testing.T) {
	good := testWords()
	require.NoError(t, good.Sound())
	for name, want := range map[string]string{
		"crash":  `action "crash": it is a word of every scenario`,
		"at":     `action "at": it is a word of every scenario`,
		"expect": `action "expect": it is a word of every scenario`,
		"A B":    `action "A B": expected a word of lower-case letters`,
		"":       `action "": expected a word`,
		"push":   `action "push": there are two of that name`,
	} {
		v := testWords()
		v.Actions = append(v.Actions, Action{Name: name})
		require.ErrorContains(t, v.Sound(), want)
		_, err := Parse("test.yaml", []byte("duration: 1m\n"), v)
		require.ErrorContains(t, err, want)
	}
	v := testWords()
	v.Checks = append(v.Checks, Check{Name: "No Loss"})
	v.Places = append(v.Places, Place{Name: "one-of"})
	require.ErrorContains(t, v.Sound(), `check "No Loss"`)
	require.ErrorContains(t, v.Sound(), `selector "one-of"`)
}
