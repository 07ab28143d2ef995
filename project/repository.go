package project

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/taucloud/tau/yamltree"
)

// contentsMax bounds all files of a configuration repository, in bytes.
const contentsMax = 64 << 20

var errTooMuch = errors.New("the files of the configuration repository have more than 64 MiB")

// repository reads a configuration repository.
func (d *decoder) repository(fsys fs.FS) error {
	root, err := d.file(fsys, RepositoryFile)
	if err != nil {
		return err
	}
	if root != nil {
		d.fields(&origin{file: RepositoryFile, form: Repository, table: projectTable, name: root, value: root}, d.project)
	}
	if err := d.folders(fsys, ".", "", &d.project.Scope); err != nil {
		return err
	}
	apps, err := list(fsys, "applications")
	if err != nil {
		return err
	}
	for _, e := range apps {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if len(d.project.Applications) == ApplicationsMax {
			d.fail("applications", nil, "split the project", "a project has at most %d applications", ApplicationsMax)
			return nil
		}
		if err := d.application(fsys, e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// application reads a folder of applications.
func (d *decoder) application(fsys fs.FS, name string) error {
	folder := path.Join("applications", name)
	config := path.Join(folder, RepositoryFile)
	if what, _ := nameRule.wrong(name); what != "" {
		d.fail(folder, nil, "rename the folder: it is the name of the application", "%s", what)
		return nil
	}
	app := Application{Base: Base{Name: name}}
	root, err := d.file(fsys, config)
	if errors.Is(err, fs.ErrNotExist) {
		d.fail(config, nil, "write description: of the application in it", "application %s has no config.yaml", name)
	} else if err != nil {
		return err
	}
	if root != nil {
		d.fields(&origin{file: config, form: Repository, table: applicationTable, name: root, value: root}, &app)
	}
	if err := d.folders(fsys, folder, name, &app.Scope); err != nil {
		return err
	}
	d.project.Applications = append(d.project.Applications, app)
	return nil
}

// folders reads the resources of a scope, which are in a folder for each kind.
func (d *decoder) folders(fsys fs.FS, dir, application string, s *Scope) error {
	entries, err := list(fsys, dir)
	if err != nil {
		return err
	}
	known := kindNames()
	if application == "" {
		known = append(known, "applications")
	}
	for _, e := range entries {
		t := kindNamed(e.Name())
		switch {
		case e.IsDir() && t != nil:
			if err := d.folder(fsys, path.Join(dir, t.kind), t, application, s); err != nil {
				return err
			}
		case e.IsDir() && !slices.Contains(known, e.Name()):
			if meant, close := yamltree.Misspelt(e.Name(), known); close {
				d.warn(path.Join(dir, e.Name()), nil, yamltree.DidYouMean(meant), "the folder is not read")
			}
		}
	}
	return nil
}

// folder reads the files of a kind.
func (d *decoder) folder(fsys fs.FS, dir string, t *table, application string, s *Scope) error {
	entries, err := list(fsys, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		name, isYAML := strings.CutSuffix(e.Name(), ".yaml")
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case !isYAML:
			d.warn(file, nil, "resources are files NAME.yaml", "it is not read")
		case !e.Type().IsRegular():
			d.fail(file, nil, "put a file here", "it is no file")
		default:
			d.unseen[file] = t.hasSecrets()
			v, err := d.file(fsys, file)
			if err != nil {
				return err
			}
			if v != nil {
				d.resource(&origin{file: file, form: Repository, table: t, name: v, value: v}, Ref{application, t.kind, name}, s)
			}
		}
	}
	return nil
}

// file reads one file, nil if there is nothing to go on with.
func (d *decoder) file(fsys fs.FS, name string) (*yamltree.Value, error) {
	data, err := open(fsys, name, ResourceLenMax)
	if err != nil {
		return nil, err
	}
	if d.size += len(data); d.size > contentsMax {
		return nil, errTooMuch
	}
	d.unseen[name] = d.unseen[name] && bytes.Contains(data, []byte("key"))
	root := d.parse(name, data, ResourceLenMax)
	if root != nil && root.Kind != yamltree.Mapping {
		d.fail(name, root, "write key: value", "expected a mapping of keys, found %s", root)
		return nil, nil
	}
	return root, nil
}

// list are the entries of a folder in order, none if it is not there.
func list(fsys fs.FS, dir string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(entries) > 2*ResourcesMax {
		return nil, fmt.Errorf("%s has more than %d entries", dir, 2*ResourcesMax)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}
