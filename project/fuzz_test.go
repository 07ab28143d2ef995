package project

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/taucloud/tau/yamltree"
)

// seeds are the fixtures, as archives.
func seeds(f *testing.F) {
	for _, dir := range []string{"valid", "invalid"} {
		for _, one := range fixtures(f, dir) {
			f.Add(txtar.Format(one.archive))
		}
	}
}

// FuzzParse: a tau.yaml of any content is read or refused with places in it, in bounded time; what is read is printed and
// read again as the same, and compiles.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"valid", "invalid"} {
		for _, one := range fixtures(f, dir) {
			if file := one.files[MonoFile]; file != nil {
				f.Add(file.Data)
			}
		}
	}
	for _, text := range []string{"\uFEFFname: a\r\n", "name: a\nfunctions: {f: {paths: [\"/{a}/*\"]}}", "? a\n: b", "name: [[[[[[", "{", "a: &a [*a]", "name: \"\\x41\"\nfunctions:\n  - a", "name: |\n  a\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		p, err := Parse(MonoFile, data)
		require.Less(t, time.Since(start), 20*time.Second)
		if err != nil {
			placed(t, err, strings.Count(string(data), "\n")+strings.Count(string(data), "\r")+1)
			return
		}
		again, err := Parse(MonoFile, []byte(p.Print(Mono)[MonoFile]))
		require.NoError(t, err)
		require.Equal(t, p.Project, again.Project)
		compiles(t, p.Project)
	})
}

// FuzzRepository is the same for the files of a configuration repository, as an archive.
func FuzzRepository(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		files := fstest.MapFS{}
		for _, file := range txtar.Parse(data).Files {
			if name := filepath.ToSlash(filepath.Clean(file.Name)); filepath.IsLocal(name) && name != "." && name != MonoFile {
				files[name] = &fstest.MapFile{Data: file.Data}
			}
		}
		p, err := Load(files)
		if err != nil {
			placed(t, err, len(data)+1)
			return
		}
		again, err := Load(filesOf(p.Print(Repository)))
		require.NoError(t, err)
		require.Equal(t, p.Project, again.Project)
		compiles(t, p.Project)
	})
}

// FuzzCompile: whatever project is made, it compiles to what leads somewhere, or is refused.
func FuzzCompile(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		p := projects(Repository).Draw(t, "project")
		p.scopes(func(_ string, s *Scope) {
			for i := range s.Functions {
				if fun := &s.Functions[i]; rapid.Bool().Draw(t, "odd") {
					fun.Paths = rapid.SliceOfN(rapid.StringMatching(`/?[a-c{}.*/]{0,6}`), 0, 3).Draw(t, "paths")
					fun.Domains = rapid.SliceOfN(rapid.SampledFrom([]string{"dom0", "dom1", "no"}), 0, 3).Draw(t, "domains")
					fun.Source = rapid.SampledFrom([]string{".", "libraries/lib0", "libraries/no", ""}).Draw(t, "source")
				}
			}
		})
		c, err := Compile(p, Options{Preview: rapid.StringN(0, 9, 20).Draw(t, "preview")})
		if err != nil {
			require.IsType(t, yamltree.Errors{}, err)
			return
		}
		whole(t, c)
	}))
}

// placed: an error about contents has places within them.
func placed(t *testing.T, err error, lines int) {
	var all yamltree.Errors
	if !errors.As(err, &all) {
		return // of the file system
	}
	require.NotEmpty(t, all)
	for _, e := range all {
		require.NotEmpty(t, e.File)
		require.NotEmpty(t, e.Hint, e.What)
		require.True(t, e.Line >= 1 && e.Col >= 1 && e.Line <= lines, "%v", e)
	}
}

func compiles(t *testing.T, p *Project) {
	c, err := Compile(p, Options{Generated: "g.example.invalid"})
	if err != nil {
		require.ErrorContains(t, err, "hosts are given by the cloud")
		return
	}
	whole(t, c)
}

// whole: what is compiled leads to entries, each of which is there once, at a path that can be published.
func whole(t require.TestingT, c *Compiled) {
	paths := map[string]bool{}
	for _, e := range c.Entries {
		require.False(t, paths[e.Path], e.Path)
		require.LessOrEqual(t, len(e.Path), PathLenMax)
		paths[e.Path] = true
	}
	for _, claim := range c.Claims {
		require.True(t, paths[claim.Target])
	}
}
