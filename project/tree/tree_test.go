package tree

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func file(path string) Entry { return Entry{Path: path, Mode: File, Size: 1} }

// check adds entries and returns the first error.
func check(b Budget, entries ...Entry) (*Checker, error) {
	c := NewChecker(b)
	for _, e := range entries {
		if err := c.Add(e); err != nil {
			return c, err
		}
	}
	return c, nil
}

// The names are those of trees that have done harm to somebody, and their neighbours, which have not.
func TestNames(t *testing.T) {
	for path, good := range map[string]bool{
		"a": true, "a/b.go": true, ".gitignore": true, ".github/x": true, "git": true, "x.git": true, "...a": true, ".a": true, "-rf": true, "ä/ß/😀": true, "a b": true,
		"~/x": true, "console": true, "com": true, "com0": true, "com10": true, "nulls.txt": true, "git~2": true, "'": true, "a=b&c;d$e`f": true, "❤️": true,
		"": false, "/a": false, "a/": false, "a//b": false, ".": false, "..": false, "../a": false, "a/../b": false, "a/./b": false, "a/..": false,
		".git": false, ".git/hooks/post-checkout": false, "a/.GIT/config": false, ".Git": false, "GIT~1/config": false, ".g\u200cit/config": false,
		"a\\b": false, "..\\..\\a": false, "c:a": false, "a:stream": false, ".git.": false, "a ": false, "a.": false, "a*": false, "a?": false, "a|b": false,
		"con": false, "NUL.txt": false, "a/Com1": false, "lpt9.x.y": false, "aux .c": false,
		"a\nb": false, "a\x1b[2Jb": false, "a\x00b": false, "a\x7f": false, "a\tb": false, "caf\xe9": false, "a\u202egnp.exe": false, "a\u00a0b": false, "\ufeffa": false, "\u3164": false,
	} {
		_, err := check(DefaultBudget, file(path))
		require.Equal(t, good, err == nil, "%q: %v", path, err)
		if err != nil {
			require.False(t, strings.ContainsFunc(err.Error(), hidden), "%q", err)
		}
	}
}

func TestTwins(t *testing.T) {
	for _, c := range []struct {
		paths []string
		good  bool
	}{
		{[]string{"a", "b"}, true},
		{[]string{"a/b", "a/c", "d/a"}, true},
		{[]string{"README", "readme"}, false},
		{[]string{"a/x", "A/y"}, false},
		{[]string{"straße", "STRASSE"}, false},
		{[]string{"caf\u00e9", "cafe\u0301"}, false},
		{[]string{"\u1e9e", "ss"}, false},
		{[]string{"K", "\u212a"}, false}, // Kelvin
		{[]string{"a", "a"}, false},
		{[]string{"a", "a/b"}, false},
		{[]string{"a/b", "a"}, false},
		{[]string{"a/b/c", "a/b", "d"}, false},
		{[]string{"i", "ı"}, true}, // two letters
	} {
		for range 2 {
			var entries []Entry
			for _, p := range c.paths {
				entries = append(entries, file(p))
			}
			_, err := check(DefaultBudget, entries...)
			require.Equal(t, c.good, err == nil, "%q: %v", c.paths, err)
			slices.Reverse(c.paths)
		}
	}
}

// Each bound holds at its value and not beyond, and what is beyond is named before anything is kept of it.
func TestBounds(t *testing.T) {
	b := Budget{Entries: 3, Depth: 3, PathLen: 10, FileLen: 100, TotalLen: 150}
	for name, c := range map[string]struct {
		entries []Entry
		want    string
	}{
		"entries":       {[]Entry{file("a"), file("b"), file("c")}, ""},
		"too many":      {[]Entry{file("a"), file("b"), file("c"), file("d")}, "d: the tree has more than 3 files and directories"},
		"modules too":   {[]Entry{file("a"), file("b"), file("c"), {Path: "d", Mode: Submodule}}, "d: the tree has more than 3 files and directories"},
		"directories":   {[]Entry{file("a/b"), file("a/c")}, ""},
		"too many too":  {[]Entry{file("a/b"), file("c/d")}, "c/d: the tree has more than 3 files and directories"},
		"depth":         {[]Entry{file("a/b/c")}, ""},
		"too deep":      {[]Entry{file("a/b/c/d")}, "a/b/c/d: more than 2 directories deep"},
		"length":        {[]Entry{file("0123456789")}, ""},
		"too long":      {[]Entry{file("01234567890")}, "01234567890: a path of more than 10 bytes"},
		"size":          {[]Entry{{Path: "a", Mode: File, Size: 100}, {Path: "b", Mode: Executable, Size: 50}, {Path: "c", Mode: File}}, ""},
		"too large":     {[]Entry{{Path: "a", Mode: File, Size: 101}}, "a: a file of 101 bytes, at most 100 are allowed"},
		"negative":      {[]Entry{{Path: "a", Mode: File, Size: -1}}, "a: a file of -1 bytes, at most 100 are allowed"},
		"all too large": {[]Entry{{Path: "a", Mode: File, Size: 100}, {Path: "b", Mode: File, Size: 51}}, "b: with it the tree has more than 150 bytes"},
		"a link":        {[]Entry{{Path: "a", Mode: Link}}, "a: a symbolic link: put the file itself there, links are not followed when a project is built"},
		"no mode":       {[]Entry{{Path: "a"}}, "a: neither a file nor a link"},
		"another mode":  {[]Entry{{Path: "a", Mode: Directory + 1}}, "a: neither a file nor a link"},
	} {
		_, err := check(b, c.entries...)
		if c.want == "" {
			require.NoError(t, err, name)
			continue
		}
		var p *Problem
		require.ErrorAs(t, err, &p, name)
		require.Equal(t, c.want, err.Error(), name)
	}
	_, err := check(Budget{}, file("a"))
	require.Error(t, err, "what is zero allows nothing")
	long, err := check(Budget{Entries: 1, Depth: 1 << 20, PathLen: 10, FileLen: 1, TotalLen: 1}, file(strings.Repeat("a/", 1<<20)+"b"))
	require.Less(t, len(err.Error()), 300)
	require.Empty(t, long.names)
}

func TestSubmodulesAreLeftOut(t *testing.T) {
	c, err := check(DefaultBudget, Entry{Path: "vendor/x", Mode: Submodule, ID: "1"}, file("b"), Entry{Path: "lib", Mode: Submodule}, file("a"))
	require.NoError(t, err)
	require.Equal(t, []Entry{file("a"), file("b")}, c.Files())
	require.Equal(t, []string{"lib", "vendor/x"}, c.LeftOut())
	_, err = check(DefaultBudget, Entry{Path: "lib", Mode: Submodule}, file("lib/a"))
	require.Error(t, err, "a submodule is a directory that is taken")
}

// Directories count, whatever is in them: a tree of empty ones takes no less time to go through than one of files.
func TestDirectories(t *testing.T) {
	dir := func(path string) Entry { return Entry{Path: path, Mode: Directory} }
	two := Budget{Entries: 2, Depth: 2, PathLen: 10, FileLen: 1, TotalLen: 1}
	c, err := check(two, dir("a"), file("a/b"))
	require.NoError(t, err)
	require.Equal(t, []Entry{file("a/b")}, c.Files())
	for want, entries := range map[string][]Entry{
		"c: the tree has more than 2 files and directories": {dir("a"), dir("b"), dir("c")},
		"a: a is there twice":                               {dir("a"), dir("a")},
		"a: a is there twice, a file":                       {file("a"), dir("a")},
		"A: is one with a where upper and lower case, or ways to write a letter, are not told apart": {dir("a"), dir("A")},
		"a/b/c: more than 1 directories deep":                                                        {dir("a"), dir("a/b/c")},
		".git: a name that Git keeps for itself":                                                     {dir(".git")},
		"aaaaaaaaaaaa: a path of more than 10 bytes":                                                 {dir("aaaaaaaaaaaa")},
		"a: a is there twice, a directory and a file":                                                {dir("a"), file("a")},
	} {
		want, _, _ = strings.Cut(want, ", a ")
		_, err := check(two, entries...)
		require.EqualError(t, err, want)
	}
}

func TestModes(t *testing.T) {
	for octal, want := range map[string]Mode{"100644": File, "100664": File, "100755": Executable, "120000": Link, "160000": Submodule, "040000": Directory, "104755": 0, "100777": 0, "": 0, "60000": 0} {
		mode, ok := ModeOf(octal)
		require.Equal(t, want, mode, octal)
		require.Equal(t, want != 0, ok, octal)
	}
}

// Whether a tree is taken depends on no order, and what is taken are the files that were added.
func TestNoOrderMatters(t *testing.T) {
	part := rapid.SampledFrom([]string{"a", "A", "b", "ä", "a\u0308", "c", ".git", "d e"})
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Entry {
			return Entry{
				Path: strings.Join(rapid.SliceOfN(part, 1, 3).Draw(t, "path"), "/"),
				Mode: rapid.SampledFrom([]Mode{File, File, File, Executable, Submodule}).Draw(t, "mode"),
				Size: rapid.Int64Range(0, 60).Draw(t, "size"),
			}
		}), 0, 6).Draw(t, "entries")
		b := Budget{Entries: 9, Depth: 3, PathLen: 20, FileLen: 50, TotalLen: 100}
		c, err := check(b, entries...)
		shuffled := slices.Clone(entries)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		other, err2 := check(b, shuffled...)
		require.Equal(t, err == nil, err2 == nil, "%v, %v", err, err2)
		if err == nil {
			require.Equal(t, c.Files(), other.Files())
			require.Equal(t, c.LeftOut(), other.LeftOut())
			require.Equal(t, len(entries), len(c.Files())+len(c.LeftOut()))
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	var entries []Entry
	for i := range 20_000 {
		entries = append(entries, file(fmt.Sprintf("src/pkg%d/sub%d/file%d.go", i%100, i%7, i)))
	}
	for b.Loop() {
		if _, err := check(DefaultBudget, entries...); err != nil {
			b.Fatal(err)
		}
	}
}

// Whatever the names: what is taken stays below its root on every file system, and what is refused can be shown.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"a/b", "../x", ".git/config", "a\\..\\b", "a\x1b[2J", "con.txt", "\xff", "a/ /b", "a\u200d"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, path string) {
		_, err := check(DefaultBudget, file(path))
		if err != nil {
			require.Less(t, len(err.Error()), 2000)
			require.False(t, strings.ContainsFunc(err.Error(), hidden))
			return
		}
		for _, part := range strings.Split(path, "/") {
			require.NotContains(t, []string{"", ".", ".."}, part)
			require.False(t, strings.EqualFold(part, ".git"))
			require.False(t, strings.ContainsAny(part, "\\:\x00\n"))
		}
	})
}
