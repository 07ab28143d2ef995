// Package build says what has to be built of a project, and what came of it: the steps of a commit, what goes into each,
// the toolchains that need no program of anybody (modules that were built before the push, static websites), what every
// built module has to be like, and the bundle that all assets of a version are in. It is pure.
package build

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/taucloud/tau/project"
)

// Toolchain is what makes an asset of a folder.
type Toolchain string

// The toolchains. Prebuilt and Static run nothing; the others are programs, which a builder may lack.
const (
	Prebuilt       Toolchain = "prebuilt"       // main.wasm or artifact.wasm is in the folder
	Static         Toolchain = "static"         // the files of the folder, as they are
	Go             Toolchain = "go"             // go.mod is in the folder
	AssemblyScript Toolchain = "assemblyscript" // package.json that names its compiler, and sources in .ts
	JavaScript     Toolchain = "javascript"     // index.js or index.ts
	C              Toolchain = "c"              // sources in .c
	Script         Toolchain = "script"         // .taubyte, or build.steps of tau.yaml: a shell runs one after the other
	Container      Toolchain = "container"      // .taubyte with an image: in a container of that
)

// Revision is part of every key: it is raised when a toolchain of this package, or how one is run, changes what it makes.
const Revision = 3

// Step makes one asset: of a folder, for all functions whose code that is, or for one website.
type Step struct {
	Toolchain Toolchain
	// Folder is slash-separated, below the root of the tree.
	Folder string
	// Targets are the paths of the entries that it is for, in order.
	Targets []string
	// Calls are the functions that a module must export, in order; none for a website.
	Calls []string
	// Website: the asset is a site, and no module.
	Website bool
	// Scripts are those of [Script] and [Container], by their paths in the folder, in the order in which they run with Variables; Commands run in
	// their place, if tau.yaml says how the folder is built.
	Scripts   []string
	Commands  []string
	Variables []Variable
	// Output is what they make, a folder or a file within the folder; "": what they leave in $OUT.
	Output string
	// Network is what Commands need of it.
	Network Network
	// Image is that of a [Container], Where the place at which it is named, for people.
	Image, Where string
	// Key is a hash of all that goes into the step: equal keys, equal assets, as long as the toolchain itself is the same.
	Key string
}

// Network is whether a step reaches the network.
type Network uint8

// What a step may have of it, and what tau.yaml asks for.
const (
	NetworkIfAllowed Network = iota // nothing is said: it reaches it if the operator allows that to the project
	NetworkNone
	NetworkNeeded // it fails if the operator does not allow it
)

// Module reports whether the step makes a WebAssembly module.
func (s Step) Module() bool { return !s.Website }

// Bounds of a plan and of a folder.
const (
	StepsMax  = 512
	filesMax  = 10_000
	folderMax = 64 << 20 // bytes of a folder's files
)

// Plan lists the steps of a project whose tree is fsys, by folder. An error is the fault of whoever has pushed. What has
// no code in this tree - it is in a repository of its own, which has no place - has no step.
func Plan(p *project.Project, fsys fs.FS, places Places) ([]Step, error) {
	pl := planner{fsys: fsys, places: places, libraries: map[project.Ref]string{}, builds: map[string]project.Build{}}
	p.Each(func(ref project.Ref, r any) {
		switch r := r.(type) {
		case *project.Library:
			pl.libraries[ref] = pl.folder(ref, r)
			pl.says(pl.libraries[ref], r.Build)
		case *project.Function:
			if !strings.HasPrefix(r.Source, "libraries/") {
				pl.says(pl.folder(ref, r), r.Build)
			}
		}
	})
	pl.scope("", &p.Scope)
	for i := range p.Applications {
		pl.scope(p.Applications[i].Name, &p.Applications[i].Scope)
	}
	if len(pl.steps) > StepsMax {
		pl.errs = append(pl.errs, fmt.Errorf("the project has %d folders to build, at most %d are built of one commit: split it", len(pl.steps), StepsMax))
	}
	if len(pl.errs) > 0 {
		return nil, errors.Join(pl.errs...)
	}
	for i := range pl.steps {
		if err := pl.steps[i].finish(fsys); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(pl.steps, func(a, b Step) int {
		return strings.Compare(a.Folder+"\x00"+a.Targets[0], b.Folder+"\x00"+b.Targets[0])
	})
	return pl.steps, nil
}

type planner struct {
	fsys      fs.FS
	places    Places
	libraries map[project.Ref]string   // their folders
	builds    map[string]project.Build // of modules, by folder, if tau.yaml says how
	steps     []Step
	errs      []error
}

// says takes over how a folder is built: no two say that differently.
func (pl *planner) says(folder string, b project.Build) {
	if !b.IsZero() {
		pl.builds[folder] = b
	}
}

// folder is where the code of a resource is in the tree, "" if it is in none.
func (pl *planner) folder(ref project.Ref, r any) string {
	if place, placed := pl.places[ref.String()]; placed {
		return place
	}
	if f, is := r.(*project.Function); is && strings.HasPrefix(f.Source, "libraries/") {
		return pl.library(ref.Application, strings.TrimPrefix(f.Source, "libraries/"))
	}
	return project.Folder(ref, r)
}

// library is the folder of a library, of the application before the project.
func (pl *planner) library(application, name string) string {
	if folder, is := pl.libraries[project.Ref{Application: application, Kind: "libraries", Name: name}]; is {
		return folder
	}
	return pl.libraries[project.Ref{Kind: "libraries", Name: name}]
}

func (pl *planner) scope(application string, s *project.Scope) {
	for i := range s.Functions {
		f := &s.Functions[i]
		ref := project.Ref{Application: application, Kind: "functions", Name: f.Name}
		pl.function(ref, pl.folder(ref, f), f.Call)
	}
	for i := range s.Websites {
		ref := project.Ref{Application: application, Kind: "websites", Name: s.Websites[i].Name}
		pl.website(ref, pl.folder(ref, &s.Websites[i]), s.Websites[i].Build)
	}
}

// function adds a function to the step of its folder.
func (pl *planner) function(ref project.Ref, folder, call string) {
	if !pl.here(folder) {
		return
	}
	for i := range pl.steps {
		if s := &pl.steps[i]; s.Module() && s.Folder == folder {
			s.Targets, s.Calls = append(s.Targets, ref.String()), append(s.Calls, call)
			return
		}
	}
	step := Step{Folder: folder, Targets: []string{ref.String()}, Calls: []string{call}}
	if err := step.choose(pl.fsys, pl.builds[folder]); err != nil {
		pl.errs = append(pl.errs, fmt.Errorf("%s: %w", ref, err))
		return
	}
	pl.steps = append(pl.steps, step)
}

func (pl *planner) website(ref project.Ref, folder string, b project.Build) {
	if !pl.here(folder) {
		return
	}
	step := Step{Toolchain: Static, Website: true, Folder: folder, Targets: []string{ref.String()}}
	if _, err := step.scripts(pl.fsys, b); err != nil {
		pl.errs = append(pl.errs, fmt.Errorf("%s: %w", ref, err))
		return
	}
	pl.steps = append(pl.steps, step)
}

// here reports whether a folder is in this tree.
func (pl *planner) here(folder string) bool {
	if folder == "" {
		return false
	}
	info, err := fs.Stat(pl.fsys, folder)
	return err == nil && info.IsDir()
}

// choose finds out how the folder of a module is built: as tau.yaml says, or by its files.
func (s *Step) choose(fsys fs.FS, b project.Build) error {
	entries, err := fs.ReadDir(fsys, s.Folder)
	if err != nil {
		return err
	}
	if s.Toolchain = Toolchain(b.Toolchain); s.Toolchain == Prebuilt && modulePath(fsys, s.Folder) == "" {
		return fmt.Errorf("there is no main.wasm in %s, and tau.yaml says that it is built already", s.Folder)
	}
	if s.Toolchain != "" {
		return nil
	}
	if len(b.Steps) > 0 {
		_, err := s.scripts(fsys, b)
		return err
	}
	if modulePath(fsys, s.Folder) != "" {
		s.Toolchain = Prebuilt
		return nil
	}
	if found, err := s.scripts(fsys, b); err != nil || found {
		return err
	}
	switch {
	case has(fsys, s.Folder, "go.mod"):
		s.Toolchain = Go
	case slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return path.Ext(e.Name()) == ".c" }):
		s.Toolchain = C
	default:
		if s.Toolchain = s.script(fsys); s.Toolchain == "" {
			return fmt.Errorf("nothing in %s says how it is built: expected main.wasm, go.mod, index.js, index.ts, package.json, a .c file or .taubyte/config.yaml", s.Folder)
		}
	}
	return nil
}

// scripts makes it a step of scripts if tau.yaml or the folder says so.
func (s *Step) scripts(fsys fs.FS, b project.Build) (found bool, err error) {
	w, err := workflowOf(fsys, s.Folder, s.Website)
	switch {
	case len(b.Steps) > 0 && (w != nil || err != nil):
		return false, fmt.Errorf("tau.yaml says with build how %s is built, and so does its .taubyte: keep one of them", s.Folder)
	case len(b.Steps) > 0:
		s.Toolchain, s.Commands, s.Output, s.Network = Script, b.Steps, b.Output, NetworkNone
		for _, name := range slices.Sorted(maps.Keys(b.Environment)) {
			s.Variables = append(s.Variables, Variable{name, b.Environment[name]})
		}
		if b.Network {
			s.Network = NetworkNeeded
		}
		return true, nil
	case w == nil || err != nil:
		return false, err
	}
	s.Toolchain, s.Scripts, s.Variables, s.Image, s.Where = Script, w.scripts, w.variables, w.image, w.where
	if s.Image != "" {
		s.Toolchain = Container
	}
	return true, nil
}

func has(fsys fs.FS, folder, name string) bool {
	info, err := fs.Stat(fsys, path.Join(folder, name))
	return err == nil && info.Mode().IsRegular()
}

// finish orders a step and makes its key.
func (s *Step) finish(fsys fs.FS) error {
	slices.Sort(s.Targets)
	slices.Sort(s.Calls)
	s.Calls = slices.Compact(s.Calls)
	h := sha256.New()
	number := func(n int) { _ = binary.Write(h, binary.BigEndian, int64(n)) }
	text := func(t string) {
		number(len(t))
		h.Write([]byte(t))
	}
	number(Revision)
	text(string(s.Toolchain))
	number(len(s.Calls))
	for _, call := range s.Calls {
		text(call)
	}
	files, err := FilesOf(fsys, s.Folder)
	if err != nil {
		return err
	}
	for _, f := range files {
		data, err := fs.ReadFile(fsys, path.Join(s.Folder, f))
		if err != nil {
			return err
		}
		text(f)
		number(len(data))
		h.Write(data)
	}
	if len(s.Commands) > 0 { // what the folder's own files say is in them
		number(-1) // no file begins so
		for _, command := range s.Commands {
			text(command)
		}
		for _, v := range s.Variables {
			number(-1)
			text(v.Name)
			text(v.Value)
		}
		number(-1)
		text(s.Output)
		number(int(s.Network))
	}
	s.Key = hex.EncodeToString(h.Sum(nil))
	return nil
}

// FilesOf lists the files below a folder, by their paths in it, in order.
func FilesOf(fsys fs.FS, folder string) (files []string, err error) {
	size := int64(0)
	err = fs.WalkDir(fsys, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if size += info.Size(); size > folderMax || len(files) == filesMax {
			return fmt.Errorf("%s has more than %d files or %d MiB", folder, filesMax, folderMax>>20)
		}
		if folder != "." {
			name = strings.TrimPrefix(name, folder+"/")
		}
		files = append(files, name)
		return nil
	})
	slices.Sort(files)
	return files, err
}
