package project

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/taucloud/tau/yamltree"
)

// fixture is a project below testdata, and what is said of it.
type fixture struct {
	name    string
	archive *txtar.Archive
	files   fstest.MapFS
	want    string
}

const wantFile = "want"

func fixtures(t testing.TB, dir string) (list []fixture) {
	names, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		require.NoError(t, err)
		f := fixture{name: name, archive: archive, files: fstest.MapFS{}}
		for _, file := range archive.Files {
			if file.Name == wantFile {
				f.want = string(file.Data)
			} else {
				f.files[file.Name] = &fstest.MapFile{Data: file.Data}
			}
		}
		list = append(list, f)
	}
	return list
}

// holds compares what was said with what the fixture wants; UPDATE=1 writes it.
func (f *fixture) holds(t *testing.T, got string) {
	if os.Getenv("UPDATE") == "" {
		require.Equal(t, f.want, got)
		return
	}
	files := f.archive.Files[:0]
	for _, file := range f.archive.Files {
		if file.Name != wantFile {
			files = append(files, file)
		}
	}
	f.archive.Files = append(files, txtar.File{Name: wantFile, Data: []byte(got)})
	require.NoError(t, os.WriteFile(f.name, txtar.Format(f.archive), 0o644))
}

// TestValidFixtures load, and what has no effect in them is told.
func TestValidFixtures(t *testing.T) {
	for _, f := range fixtures(t, "valid") {
		t.Run(filepath.Base(f.name), func(t *testing.T) {
			p, err := Load(f.files)
			require.NoError(t, err)
			var got strings.Builder
			for _, w := range p.Warnings {
				require.NotEmpty(t, w.Hint)
				got.WriteString("warning: " + strings.Split(w.Error(), "\n")[0] + "\n")
			}
			f.holds(t, got.String())
		})
	}
}

// TestInvalidFixtures are refused, and all that is wrong with them is told at once.
func TestInvalidFixtures(t *testing.T) {
	for _, f := range fixtures(t, "invalid") {
		t.Run(filepath.Base(f.name), func(t *testing.T) {
			_, err := Load(f.files)
			var all yamltree.Errors
			require.True(t, errors.As(err, &all), "%v", err)
			for _, e := range all {
				require.NotEmpty(t, e.Hint, e.What)
			}
			f.holds(t, err.Error()+"\n")
		})
	}
}
