package dreamtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

var nameLine = regexp.MustCompile(`(?m)^name:\s*["']?([A-Za-z0-9_-]+)`)

// projectOf is the name of the project in a folder, which may be a bad one otherwise: that is for the build to say.
func projectOf(dir string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(dir, project.MonoFile))
	if err != nil {
		return "", err
	}
	found := nameLine.FindSubmatch(raw)
	if found == nil {
		return "", fmt.Errorf("%s in %s names no project: expected name: NAME", project.MonoFile, dir)
	}
	return string(found[1]), patrickapi.CheckProject(string(found[1]))
}

// treeOf are the files of a folder, but for its repository.
func treeOf(dir string) (t patrickapi.Tree, err error) {
	size := 0
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is no plain file", name)
		}
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if size += len(data); size > patrickapi.TreeLenMax {
			return fmt.Errorf("%s has more than %d KiB of files", dir, patrickapi.TreeLenMax>>10)
		}
		t.Files = append(t.Files, patrickapi.File{Path: name, Data: data})
		return err
	})
	t.Sort()
	return t, err
}
