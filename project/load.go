package project

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/taucloud/tau/yamltree"
)

// Loaded is a project that was read.
type Loaded struct {
	*Project
	Form Form
	// Warnings are what was read and has no effect, and folders that were not read but are called like those that are.
	Warnings yamltree.Errors
}

// The files of the forms.
const (
	MonoFile       = "tau.yaml"
	RepositoryFile = "config.yaml"
)

var dialect = yamltree.Dialect{
	LenMax: FileLenMax, Nesting: 16, Keys: 2048,
	Large:   "a project of that size is better a configuration repository, with a file for each resource",
	Empty:   "write name: and what the project has, or run tau project new",
	Excess:  "nothing in a project needs that",
	Alias:   `put text that begins with * in quotes`,
	Several: "a file is one document",
}

// Load reads the project at the root of a file system: tau.yaml, or a configuration repository. An error of type
// [yamltree.Errors] is about the files' contents, all that is wrong at once; another one is the file system's.
func Load(fsys fs.FS) (*Loaded, error) {
	mono, err := exists(fsys, MonoFile)
	if err != nil {
		return nil, err
	}
	repository, err := exists(fsys, RepositoryFile)
	if err != nil {
		return nil, err
	}
	d := newDecoder(Mono)
	switch {
	case mono && repository:
		d.fail(RepositoryFile, nil, "keep tau.yaml, or the configuration repository", "there are tau.yaml and config.yaml, and each is a whole project")
	case mono:
		err = d.mono(fsys)
	case repository:
		d.form = Repository
		err = d.repository(fsys)
	default:
		return nil, missing(fsys)
	}
	if err != nil {
		return nil, err
	}
	return d.loaded()
}

// Parse reads a tau.yaml alone, without looking for the folders that it names.
func Parse(file string, data []byte) (*Loaded, error) {
	d := newDecoder(Mono)
	d.tauYAML(file, data)
	return d.loaded()
}

func newDecoder(form Form) *decoder {
	return &decoder{form: form, project: &Project{}, origins: map[Ref]*origin{}, problems: problems{contents: map[string][]byte{}, unseen: map[string]bool{}}}
}

// missing says what a folder without a project lacks.
func missing(fsys fs.FS) error {
	d := newDecoder(Mono)
	for _, name := range []string{"tau.yml", "config.yml"} {
		if there, _ := exists(fsys, name); there {
			d.fail(name, nil, "rename it to "+strings.TrimSuffix(name, "ml")+"aml", "the file's name ends in .yml")
			return d.err()
		}
	}
	d.fail(MonoFile, nil, "tau project new makes one", "there is no project here: neither tau.yaml nor config.yaml")
	return d.err()
}

func exists(fsys fs.FS, name string) (bool, error) {
	info, err := fs.Stat(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Mode().IsRegular(), err
}

// loaded ends reading: what was found is checked, if all of it could be read.
func (d *decoder) loaded() (*Loaded, error) {
	p := d.project
	slices.SortStableFunc(p.Applications, func(a, b Application) int { return strings.Compare(a.Name, b.Name) })
	p.scopes(func(_ string, s *Scope) {
		for _, t := range kinds {
			t.sort(s)
		}
	})
	where := func(ref Ref, mono string, item int) (*origin, *yamltree.Value) {
		o := d.origins[ref]
		return o, o.place(mono, item)
	}
	p.check(Options{}.of(p).own(p), func(ref Ref, mono string, item int, hint, what string) {
		o, at := where(ref, mono, item)
		d.fail(o.file, at, hint, "%s", what)
	}, func(ref Ref, mono string, item int) string {
		o, at := where(ref, mono, item)
		return fmt.Sprintf("%s:%d:%d", o.file, at.Line, at.Col)
	})
	if err := d.err(); err != nil {
		return nil, err
	}
	return &Loaded{Project: p, Form: d.form, Warnings: told(d.warnings)}, nil
}

// parse reads a file's values, nil if there is nothing to go on with.
func (d *decoder) parse(file string, data []byte, lenMax int) *yamltree.Value {
	d.contents[file] = data
	how := dialect
	how.LenMax = lenMax
	root, wrong := yamltree.Read(file, data, how)
	for _, e := range wrong {
		d.fail(file, &yamltree.Value{Line: e.Line, Col: e.Col}, e.Hint, "%s", e.What)
	}
	return root
}

// open reads a regular file of at most so many bytes, and one more.
func open(fsys fs.FS, name string, lenMax int) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(lenMax)+1))
}

// mono reads tau.yaml, and looks for the folders that it names.
func (d *decoder) mono(fsys fs.FS) error {
	data, err := open(fsys, MonoFile, FileLenMax)
	if err != nil {
		return err
	}
	d.tauYAML(MonoFile, data)
	if d.failures > 0 {
		return nil
	}
	d.project.each(func(ref Ref, r resource) {
		folder, mono := Folder(ref, r), "path"
		if _, function := r.(*Function); function {
			mono = "source"
		}
		if folder == "" {
			return
		}
		if !holdsFiles(fsys, folder) {
			o := d.origins[ref]
			at := o.place(mono, 0)
			d.fail(o.file, at, "make it, or say where its code is with "+mono+": ./FOLDER", "%s %s: there is no folder %s with a file in it", o.table.one, ref.Name, folder)
		}
	})
	return nil
}

// holdsFiles reports whether a folder is there with a file in it: Git keeps no other.
func holdsFiles(fsys fs.FS, folder string) (holds bool) {
	if info, err := fs.Stat(fsys, folder); err != nil || !info.IsDir() {
		return false
	}
	_ = fs.WalkDir(fsys, folder, func(_ string, e fs.DirEntry, err error) error {
		if holds = err != nil || !e.IsDir(); holds { // what cannot be read may hold some
			return fs.SkipAll
		}
		return nil
	})
	return holds
}

// Folder is where the code of a resource is in a repository, "" if it is not there. Of a configuration repository it is
// the folder in the code repository.
func Folder(ref Ref, r any) string {
	switch r := r.(type) {
	case *Function:
		switch {
		case r.Source == ".":
			return path.Join(ref.Application, ref.Kind, ref.Name)
		case strings.HasPrefix(r.Source, "./"):
			return cmp.Or(strings.TrimPrefix(r.Source, "./"), ".")
		}
	case *Website:
		if r.Here() {
			return r.Path
		}
	case *Library:
		if r.Here() {
			return r.Path
		}
	}
	return ""
}

// tauYAML reads the content of a tau.yaml.
func (d *decoder) tauYAML(file string, data []byte) {
	root := d.parse(file, data, FileLenMax)
	if root == nil {
		return
	}
	d.fields(&origin{file: file, form: Mono, table: projectTable, name: root, value: root}, d.project, append(kindNames(), "applications")...)
	d.sections(file, root, "", &d.project.Scope)
	list := root.Get("applications")
	for _, e := range d.entriesOf(file, list, "applications") {
		if len(d.project.Applications) == ApplicationsMax {
			d.fail(file, e.Key, "split the project", "a project has at most %d applications", ApplicationsMax)
			return
		}
		if what, _ := nameRule.wrong(e.Key.Text); what != "" {
			d.fail(file, e.Key, "it is the name of the application", "%s", what)
			continue
		}
		app := Application{Base: Base{Name: e.Key.Text}}
		d.fields(&origin{file: file, form: Mono, table: applicationTable, name: e.Key, value: e.Value}, &app, kindNames()...)
		d.sections(file, e.Value, app.Name, &app.Scope)
		d.project.Applications = append(d.project.Applications, app)
	}
}

// sections reads the resources of a scope of tau.yaml.
func (d *decoder) sections(file string, v *yamltree.Value, application string, s *Scope) {
	for _, t := range kinds {
		for _, e := range d.entriesOf(file, v.Get(t.kind), t.kind) {
			d.resource(&origin{file: file, form: Mono, table: t, name: e.Key, value: e.Value}, Ref{application, t.kind, e.Key.Text}, s)
		}
	}
}

// entriesOf are the entries of a mapping of names.
func (d *decoder) entriesOf(file string, v *yamltree.Value, kind string) []yamltree.Entry {
	if v == nil || v.Kind == yamltree.Null {
		return nil
	}
	if v.Kind != yamltree.Mapping {
		d.fail(file, v, "write "+kind+": {NAME: {...}}", "%s: expected a mapping by name, found %s", kind, v)
		return nil
	}
	return v.Entries
}
