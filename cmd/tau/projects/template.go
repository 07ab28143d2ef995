package projects

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/taucloud/tau/sdk"
	"github.com/taucloud/tau/yamltree"
)

//go:embed all:templates
var embedded embed.FS

// Templates are the names of what projects can be made of.
func Templates() []string {
	entries, err := fs.ReadDir(embedded, "templates")
	if err != nil {
		panic(err) // it is embedded
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Make makes a project of a template in a folder, by whose name it is called if name is "". Nothing that is there is overwritten.
func Make(dir, name, template string) (is string, files []string, err error) {
	if !slices.Contains(Templates(), template) {
		return "", nil, fmt.Errorf("--template: there is no template %q; %s", template, yamltree.Suggest(template, Templates()))
	}
	if is, err = nameFor(dir, name); err != nil {
		return "", nil, err
	}
	files, err = write(dir, templateFiles(template, is))
	return is, files, err
}

// templateFiles are the files of a project that is made of a template, by path. Files of code have names that end in
// .txt here, so that the Go command leaves them alone.
func templateFiles(template, name string) map[string]string {
	root := path.Join("templates", template)
	files := map[string]string{}
	err := fs.WalkDir(embedded, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := embedded.ReadFile(p)
		files[strings.TrimSuffix(strings.TrimPrefix(p, root+"/"), ".txt")] = strings.ReplaceAll(string(data), "PROJECT", name)
		return err
	})
	if err != nil {
		panic(err)
	}
	for name, text := range maps.Clone(files) {
		if path.Base(name) == "go.mod" && strings.Contains(text, "require "+sdkModule) {
			vendor(files, path.Dir(name))
		}
	}
	return files
}

// sdkModule has the SDK for Go; sdkVersion is what copies say that they are of, as none was released.
const sdkModule, sdkVersion = "github.com/taucloud/tau", "v0.0.0"

// vendor puts a copy of the SDK where builds look for it, which reach no network.
func vendor(files map[string]string, folder string) {
	below := path.Join(folder, "vendor")
	files[path.Join(below, "modules.txt")] = "# " + sdkModule + " " + sdkVersion + "\n## explicit; go 1.24\n" + sdkModule + "/sdk\n"
	for name, text := range sdk.Sources() {
		files[path.Join(below, sdkModule, "sdk", name)] = text
	}
}

// Names of new projects are parts of domain names, too.
var newName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`)

// nameFor is a project's name, by the folder that it is made in if none was given.
func nameFor(dir, name string) (string, error) {
	if name == "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", err
		}
		name = strings.ToLower(filepath.Base(abs))
	}
	if !newName.MatchString(name) {
		return "", fmt.Errorf("%q is no name for a project: lower-case letters, digits and -, a letter first, at most 40; say one with --name", name)
	}
	return name, nil
}

// write makes files below a folder, of which none may be there yet: either all are made or, if one is there, none. What
// is in the folder beside them stays.
func write(dir string, files map[string]string) (written []string, err error) {
	for name := range files {
		written = append(written, name)
	}
	slices.Sort(written)
	// A tau.yaml is what makes a folder a project: it comes last.
	if i := slices.Index(written, "tau.yaml"); i >= 0 {
		written = append(slices.Delete(written, i, i+1), "tau.yaml")
	}
	for _, name := range append([]string{"config.yaml"}, written...) {
		_, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		if err == nil {
			return nil, fmt.Errorf("%s is there already, and is never overwritten: choose another folder", filepath.Join(dir, filepath.FromSlash(name)))
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	for _, name := range written {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return nil, err
		}
		_, err = f.WriteString(files[name])
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return written, nil
}
