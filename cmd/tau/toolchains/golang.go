package toolchains

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/taucloud/tau/cmd/tau/sandbox"
	"github.com/taucloud/tau/project/build"
)

const goRemedy = "install Go 1.24 or later (https://go.dev/dl) and set go-root to where it is, such as /usr/local/go"

// goRoot is where Go is.
func (c Config) goRoot() (string, error) {
	if c.Go != "" {
		return c.Go, nil
	}
	if program, err := exec.LookPath("go"); err == nil {
		if real, err := filepath.EvalSymlinks(program); err == nil && isGoRoot(filepath.Dir(filepath.Dir(real))) {
			return filepath.Dir(filepath.Dir(real)), nil
		}
	}
	for _, dir := range []string{"/usr/local/go", "/usr/lib/go"} {
		if isGoRoot(dir) {
			return dir, nil
		}
	}
	return "", &Missing{"there is no Go on this machine", goRemedy}
}

func isGoRoot(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "bin", "go"))
	_, also := os.Stat(filepath.Join(dir, "src", "runtime"))
	return err == nil && also == nil
}

// goPrologue is before each call of Go: nothing but what is in the folder and, if there is one, in the cache of modules.
const goPrologue = `export GOROOT="$GO_ROOT" GOCACHE="$BUILD/cache" GOPATH="$BUILD/go" GOTMPDIR="$BUILD" HOME="$BUILD"
export GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 GOTOOLCHAIN=local GOENV=off GOWORK=off GOPROXY=off GOSUMDB=off GOTELEMETRY=off
[ -z "$GO_MODULES" ] || export GOMODCACHE="$GO_MODULES"
`

// goBuild leaves names in the module (-w alone, without -s): by them its engine finds Go's generator of random numbers, so that each request
// has its own. They are some 5 % of it.
const goBuild = `"$GOROOT/bin/go" build -trimpath -buildvcs=false -buildmode=c-shared -ldflags='-w -buildid=' `

func (s *Set) findGo(ctx context.Context, r Runner) (*tool, error) {
	root, err := s.cfg.goRoot()
	if err != nil {
		return nil, err
	}
	t := &tool{mounts: []sandbox.Mount{{From: root, To: "/opt/go", Env: "GO_ROOT"}}}
	t.version, err = probe(ctx, r, t.mounts, nil, goPrologue+`"$GOROOT/bin/go" env GOVERSION >"$RESULT"`)
	if err != nil {
		return nil, &Missing{fmt.Sprintf("Go in %s cannot be run (%v)", root, err), goRemedy + "; all users must be able to read it"}
	}
	if s.cfg.ModuleCache != "" {
		t.mounts = append(t.mounts, sandbox.Mount{From: s.cfg.ModuleCache, To: "/opt/go-modules", Env: "GO_MODULES"})
	}
	t.script = func(_ build.Step, files []sandbox.File) (string, error) {
		mode := "-mod=readonly "
		for _, f := range files {
			if f.Path == path.Join(source, "vendor/modules.txt") {
				mode = "-mod=vendor "
			}
		}
		return goPrologue + goBuild + mode + `-o "$RESULT" .`, nil
	}
	warm := &warm{set: s, runner: r, tool: t}
	t.base = warm.archive
	return t, nil
}

// warm is what Go has made of its own library, beforehand: builds begin with a copy of it, and none changes it.
type warm struct {
	set    *Set
	runner Runner
	tool   *tool
	mu     sync.Mutex
}

// warmPackages are those of Go's library that functions use.
var warmPackages = []string{
	"bufio", "bytes", "context", "encoding/base64", "encoding/binary", "encoding/csv", "encoding/hex", "encoding/json", "errors", "fmt",
	"html", "io", "log", "maps", "math", "math/rand/v2", "net/url", "os", "path", "regexp", "slices", "sort", "strconv", "strings", "sync", "text/template",
	"time", "unicode/utf8", "unsafe", "net/http", "crypto/sha256", "crypto/hmac", "crypto/rand",
}

// archive is a file with the cache; it is made if there is none of this version.
func (w *warm) archive(ctx context.Context, line func(string)) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var imports strings.Builder
	for _, p := range warmPackages {
		fmt.Fprintf(&imports, "import _ %q\n", p)
	}
	sum := sha256.Sum256([]byte(w.tool.version + w.runner.Backend() + imports.String()))
	dir, whose := cmp.Or(w.set.cfg.Warm, w.set.cfg.Cache), "node"
	if w.set.cfg.Warm != "" {
		whose = "universe"
	}
	file := filepath.Join(dir, "go-"+hex.EncodeToString(sum[:8])+".tar")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	line(fmt.Sprintf("the library of %s is compiled for WebAssembly, once for this %s: that takes a minute or two", w.tool.version, whose))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, filepath.Join(dir, "go.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(file); err == nil {
		return file, nil // another node has made it meanwhile
	}
	limits := sandbox.DefaultLimits
	limits.Result, limits.Within = 400<<20, 10*time.Minute // once for all, at the lowest priority
	files := []sandbox.File{{Path: "warm/go.mod", Data: []byte("module warm\n\ngo 1.24\n")}, {Path: "warm/main.go", Data: []byte("package main\n\n" + imports.String() + "\nfunc main() {}\n")}}
	made, err := w.runner.Run(ctx, sandbox.Job{
		Script: goPrologue + `mkdir "$BUILD/cache"
` + goBuild + `-o /dev/null . && cd "$BUILD" && tar --sort=name --owner=0 --group=0 --numeric-owner -cf "$RESULT" cache`,
		Folder: "warm", Files: files, Mounts: w.tool.mounts, Limits: limits, Line: line,
	})
	if err != nil {
		return "", fmt.Errorf("the library of Go: %w", errors.New(err.Error())) // never the fault of whoever has pushed
	}
	if old, err := filepath.Glob(filepath.Join(dir, "go-*.tar")); err == nil {
		for _, o := range old { // of other versions
			_ = os.Remove(o)
		}
	}
	return file, writeWhole(file, made)
}
