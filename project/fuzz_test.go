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
