package yamltree

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var dialect = Dialect{LenMax: 1000, Nesting: 4, Keys: 5, Large: "large", Empty: "empty", Excess: "excess", Alias: "alias", Several: "several"}

// show is a value with its places, in one line.
func show(v *Value) string {
	switch v.Kind {
	case Null:
		return "null"
	case Sequence:
		var items []string
		for _, item := range v.Items {
			items = append(items, show(item))
		}
		return "[" + strings.Join(items, " ") + "]"
	case Mapping:
		var entries []string
		for _, e := range v.Entries {
			entries = append(entries, show(e.Key)+": "+show(e.Value))
		}
		return "{" + strings.Join(entries, " ") + "}"
	}
	if v.Quoted {
		return "'" + v.Text + "'"
	}
	return v.Text
}

func TestValues(t *testing.T) {
	for text, want := range map[string]string{
		"a: 1\nb: [x, \"y\", null, true]":  "{a: 1 b: [x 'y' null true]}",
		"a:\n  b: |\n    two\n    lines\n": "{a: {b: 'two\nlines\n'}}",
		"- a\n- {b: c}":                    "[a {b: c}]",
		"\uFEFFa: b\r\nc:\r\n":             "{a: b c: null}",
		"---\na: b":                        "{a: b}",
		"word":                             "word",
	} {
		v, wrong := Read("x", []byte(text), dialect)
		require.Empty(t, wrong, text)
		require.Equal(t, want, show(v))
	}
	v, _ := Read("x", []byte("a:\n  bc: [d,\n    e]"), dialect)
	e := v.Get("a").Get("bc").Items[1]
	require.Equal(t, []int{3, 5}, []int{e.Line, e.Col})
	require.Nil(t, v.Get("bc"))
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "x:1:1: the file is empty\n    hint: empty",
		"a: [":                                 "x:1:4: not valid YAML",
		"a: &b c":                              "x:1:4: anchors",
		"a: *b":                                "x:1:4: aliases (*name) are not supported\n    hint: alias",
		"a: b\n---\nc: d":                      "x:2:1: a second document begins\n    hint: several",
		"a: 1\nb: 2\na: 3":                     "x:3:1: key \"a\" is given twice\n    hint: the first one is in line 1",
		"{a: 1, b: 2, c: 3, d: 4, e: 5, f: 6}": "more than 5 keys\n    hint: excess",
		"[[[[[a]]]]]":                          "nested more than 4 deep\n    hint: excess",
		"a: \xff":                              "x:1:4: byte 0xff is not UTF-8",
		"a: \x01":                              "x:1:4: control character U+0001",
		"a: \u009b2J":                          "x:1:4: control character U+009B",
		"a: b\n# c\u202ed":                     "x:2:4: character U+202E, which changes the direction of writing",
		"? [a]\n: b":                           "complex keys",
		"a: !!int 1":                           "tags",
		"%YAML 1.2":                            "directives",
		strings.Repeat("# comment\n", 101):     "the file has 1010 bytes, expected at most 1000\n    hint: large",
	} {
		_, wrong := Read("x", []byte(text), dialect)
		require.ErrorContains(t, wrong, want, text)
		var one *Error
		require.True(t, errors.As(wrong, &one))
	}
}

func TestExcerpts(t *testing.T) {
	e := Error{File: "x", Line: 3, Col: 4, What: "what", Hint: "hint", Source: "a\tbcd\r"}
	require.Equal(t, "x:3:4: what\n    | a bcd\n    |    ^\n    hint: hint", e.Error())
	for col, want := range map[int]string{1: "    | ^", 9: "    |     ^", 99: "    |      ^", 0: "    | ^"} {
		e := Error{Col: col, Source: "abcde"}
		if col == 9 {
			e.Col = 5
		}
		require.Equal(t, want, strings.Split(e.Error(), "\n")[2])
	}
	long := Error{Col: 150, Source: strings.Repeat("x", 149) + "!" + strings.Repeat("y", 200)}
	lines := strings.Split(long.Error(), "\n")
	require.Equal(t, strings.Index(lines[1], "!"), strings.Index(lines[2], "^"))
	require.Len(t, lines[1], len("    | ")+excerptMax)
}

func TestSuggestions(t *testing.T) {
	known := []string{"paths", "methods", "domains", "memory"}
	for word, want := range map[string]string{
		"path": `did you mean "paths"?`, "mehtods": `did you mean "methods"?`, "Memory": `did you mean "memory"?`, "main": `did you mean "domains"?`,
		"x": "known: paths, methods, domains, memory", strings.Repeat("paths", 20): "known: paths, methods, domains, memory",
	} {
		require.Equal(t, want, Suggest(word, known), word)
	}
	require.Equal(t, "there are none", Suggest("x", nil))
	require.Equal(t, "known: paths, methods and 2 more", SuggestFew("x", known, 2))
	_, is := Misspelt("main", known)
	require.False(t, is, "a part of a word is no misspelling of it")
}

// What an error shows of a file does nothing to whoever reads it, not by the file's name either; what is written from right to left is let be.
func TestErrorsShowNothingHidden(t *testing.T) {
	e := &Error{File: "a\u202eb.yaml", Line: 1, Col: 3, What: "no", Source: "x\u2066y\u009bz"}
	require.Equal(t, "a b.yaml:1:3: no\n    | x y z\n    |   ^", e.Error())
	require.True(t, control(0x85) && !control(0xa0) && turns(0x2069) && !turns(0x200f) && !turns('\u05d0'))
}
