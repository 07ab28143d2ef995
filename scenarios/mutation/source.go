package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "github.com/taucloud/tau"

// listed is what `go list` says of a package.
type listed struct {
	ImportPath  string
	Dir         string
	GoFiles     []string
	TestGoFiles []string
	XTestFiles  []string `json:"XTestGoFiles"`
	Export      string
	Standard    bool
}

// file is a source file of a package.
type file struct {
	name string // in its package
	path string // absolute
	text []byte
	tree *ast.File
}

// source is a package with its types.
type source struct {
	path  string // below the module: services/seer
	files []*file
	fset  *token.FileSet
	types *types.Package
	info  *types.Info
}

// list asks the go command for packages, with their dependencies and the files
// that say what they export.
func list(root string, patterns ...string) ([]listed, error) {
	args := append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,TestGoFiles,XTestGoFiles,Export,Standard"}, patterns...)
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.String())
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
}

// exports resolves imports from the files that `go list -export` names.
func exports(fset *token.FileSet, all []listed) types.Importer {
	files := map[string]string{}
	for _, p := range all {
		files[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(files[path])
	})
}

// load parses a package and checks its types.
func load(fset *token.FileSet, imports types.Importer, p listed) (*source, error) {
	s := &source{path: strings.TrimPrefix(p.ImportPath, module+"/"), fset: fset}
	for _, name := range p.GoFiles {
		path := filepath.Join(p.Dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := s.add(name, path, text); err != nil {
			return nil, err
		}
	}
	return s, s.check(imports)
}

func (s *source) add(name, path string, text []byte) error {
	tree, err := parser.ParseFile(s.fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	s.files = append(s.files, &file{name, path, text, tree})
	return nil
}

func (s *source) check(imports types.Importer) error {
	s.info = &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{}, Instances: map[*ast.Ident]types.Instance{},
	}
	trees := make([]*ast.File, len(s.files))
	for i, f := range s.files {
		trees[i] = f.tree
	}
	var err error
	s.types, err = (&types.Config{Importer: imports}).Check(module+"/"+s.path, s.fset, trees, s.info)
	return err
}

// offset is where a position is in its file.
func (s *source) offset(p token.Pos) int { return s.fset.Position(p).Offset }
