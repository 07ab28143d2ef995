package main

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rooms are the packages that mutants are made of. Suites that other tests call
// (…test) are tests themselves, and so are disks that only tests have.
var rooms = []string{"./clock/...", "./transport/...", "./storage/...", "./node/...", "./services/...", "./sim/check/...", "./scenarios/words/..."}

// build is one rewritten copy of the code, which holds all mutants.
type build struct {
	root      string // of the module
	dir       string // where everything of this build is kept
	mutations []*mutation
}

// prepare rewrites the code of the module at root and keeps the result in dir.
func prepare(root, dir string) (*build, error) {
	all, err := list(root, append(slices.Clone(rooms), "./scenarios/mutation/mutant")...)
	if err != nil {
		return nil, err
	}
	b := &build{root: root, dir: dir}
	fset := token.NewFileSet()
	imports := exports(fset, all)
	overlay := map[string]string{}
	for _, p := range all {
		if !mutable(p.ImportPath) {
			continue
		}
		s, err := load(fset, imports, p)
		if err != nil {
			return nil, err
		}
		texts, err := b.rewrite(s, imports)
		if err != nil {
			return nil, err
		}
		if err := b.keep(s, texts, overlay); err != nil {
			return nil, err
		}
	}
	raw, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return nil, err
	}
	return b, write(b.overlay(), raw)
}

func mutable(path string) bool {
	below, ours := strings.CutPrefix(path, module+"/")
	words := strings.HasPrefix(below, "scenarios/words")
	disks := below == "storage/internal/brittledisk" || below == "storage/internal/filedisk"
	return ours && (words || !strings.HasPrefix(below, "scenarios/")) && !strings.HasSuffix(below, "test") && !disks
}

func (b *build) overlay() string { return filepath.Join(b.dir, "overlay.json") }

// rewrite makes the mutants of a package that compile.
func (b *build) rewrite(s *source, imports types.Importer) (texts [][]byte, err error) {
	skip := map[string]bool{}
	for {
		number := uint32(len(b.mutations))
		var made []*mutation
		texts = nil
		for _, f := range s.files {
			more, text := mutate(s, f, &number, skip)
			made, texts = append(made, more...), append(texts, text)
		}
		broken, err := recheck(s, texts, imports)
		if err != nil {
			return nil, err
		}
		if len(broken) == 0 {
			b.mutations = append(b.mutations, made...)
			return texts, nil
		}
		for _, n := range broken {
			skip[made[int(n)-len(b.mutations)-1].key()] = true
		}
	}
}

// recheck type-checks rewritten files and returns the numbers of the mutants
// that do not compile.
func recheck(s *source, texts [][]byte, imports types.Importer) (broken []uint32, err error) {
	fset := token.NewFileSet()
	again := &source{path: s.path, fset: fset}
	for i, f := range s.files {
		if err := again.add(f.name, f.name, texts[i]); err != nil {
			return nil, fmt.Errorf("%s: a rule writes what is not Go: %w", s.path, err)
		}
	}
	trees := make([]*ast.File, len(again.files))
	for i, f := range again.files {
		trees[i] = f.tree
	}
	conf := types.Config{Importer: imports, Error: func(e error) {
		wrong := e.(types.Error)
		n := culprit(again, fset.Position(wrong.Pos))
		if n == 0 {
			err = fmt.Errorf("a rule breaks the code: %w", e)
		}
		broken = append(broken, n)
	}}
	conf.Check(module+"/"+s.path, fset, trees, nil) //nolint:errcheck // each error is collected
	return broken, err
}

var marker = regexp.MustCompile(alias + `\.[A-Za-z]+(?:\[[^(]*\])?\((\d+)`)

// culprit is the mutant next to an error: the last that begins before it in its
// line, else the first.
func culprit(s *source, at token.Position) (number uint32) {
	for _, f := range s.files {
		if f.name != at.Filename {
			continue
		}
		line := strings.Split(string(f.text), "\n")[at.Line-1]
		for _, found := range marker.FindAllStringSubmatchIndex(line, -1) {
			if number == 0 || found[0] < at.Column {
				n, _ := strconv.Atoi(line[found[2]:found[3]])
				number = uint32(n)
			}
		}
	}
	return number
}

// keep writes the rewritten files of a package and enters them in the overlay.
func (b *build) keep(s *source, texts [][]byte, overlay map[string]string) error {
	for i, f := range s.files {
		if string(texts[i]) == string(f.text) {
			continue
		}
		to := filepath.Join(b.dir, "overlay", filepath.FromSlash(s.path), f.name)
		if err := write(to, texts[i]); err != nil {
			return err
		}
		overlay[f.path] = to
	}
	return nil
}

func write(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// binary builds a program or the tests of a package, unless it is there.
func (b *build) binary(ctx context.Context, folder string, test bool) (string, error) {
	args := []string{"build", "-buildvcs=false", "-overlay", b.overlay()}
	out := filepath.Join(b.dir, "bin", strings.ReplaceAll(folder, "/", "-"))
	if test {
		args, out = []string{"test", "-c", "-buildvcs=false", "-vet=off", "-overlay", b.overlay()}, out+".test"
	}
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return "", err
	}
	made := out + ".part" // what was interrupted is no binary
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", made, "./"+folder)...)
	cmd.Dir, cmd.WaitDelay = b.root, 5*time.Second // which what it has started may take to end
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the mutants of %s: %w\n%s", folder, firstOf(ctx.Err(), err), text)
	}
	return out, os.Rename(made, out)
}
