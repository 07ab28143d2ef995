package toolchains

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"

	"github.com/taucloud/tau/cmd/tau/sandbox"
	"github.com/taucloud/tau/cmd/tau/toolchains/esbuild"
	"github.com/taucloud/tau/project/build"
)

// findJavaScript needs nothing of the machine: the bundler is in this program, which a run sees where it is or, where others than its owner may not read
// it, gets a copy of.
func (s *Set) findJavaScript(ctx context.Context, r Runner) (*tool, error) {
	self, err := os.Executable()
	if err != nil || !esbuild.Able() {
		return nil, &Missing{"this program is no bundler of JavaScript", "run tau or dreamland"}
	}
	t := &tool{version: "esbuild " + esbuild.Version, mounts: []sandbox.Mount{{From: self, To: path.Join("/opt/program", filepath.Base(self)), Env: "PROGRAM"}}}
	bundle := `"$PROGRAM" ` + esbuild.Word + " "
	probed := sandbox.Job{Script: bundle + `probe.js "$RESULT"`, Mounts: t.mounts, Limits: sandbox.DefaultLimits, Files: []sandbox.File{{Path: "probe.js", Data: []byte("export default {};")}}, Line: func(string) {}}
	if _, err := r.Run(ctx, probed); err != nil {
		own := &ownProgram{path: self, dir: cmp.Or(s.cfg.Warm, s.cfg.Cache)}
		t.mounts, t.base = nil, own.archive
		bundle = `"$BUILD"/` + quoted(own.name()) + " " + esbuild.Word + " "
		probed.Mounts, probed.Script = nil, bundle+`probe.js "$RESULT"`
		if probed.Base, err = own.archive(ctx, nil); err == nil {
			_, err = r.Run(ctx, probed)
		}
		if err != nil {
			return nil, &Missing{fmt.Sprintf("the bundler of JavaScript, which is %s, does not run (%v)", self, err), "all users must be able to read and run it"}
		}
	}
	t.script = func(step build.Step, files []sandbox.File) (string, error) {
		at := func(name string) int {
			return slices.IndexFunc(files, func(f sandbox.File) bool { return f.Path == path.Join(source, name) })
		}
		entry := build.JavaScriptEntry(func(name string) bool { return at(name) >= 0 }, func(name string) []byte { return files[at(name)].Data })
		if entry == "" {
			return "", fault("nothing says where the program begins: expected index.js, index.ts, or a file that package.json names as main")
		}
		words := bundle + quoted("./"+entry) + ` "$RESULT"`
		for _, call := range step.Calls {
			words += " " + quoted(call)
		}
		return words, nil
	}
	return t, nil
}

// ownProgram is this program in an archive, for runs that cannot see it where it is.
type ownProgram struct {
	path, dir string
	mu        sync.Mutex
}

// name is where it lies among the files of a run.
func (o *ownProgram) name() string { return path.Join(".program", filepath.Base(o.path)) }

// archive is a file with it; it is made if there is none of this program.
func (o *ownProgram) archive(context.Context, func(string)) (file string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	program, err := os.Open(o.path)
	if err != nil {
		return "", err
	}
	defer program.Close()
	info, err := program.Stat()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", o.path, info.Size(), info.ModTime().UnixNano()))
	file = filepath.Join(o.dir, "program-"+hex.EncodeToString(sum[:8])+".tar")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if old, err := filepath.Glob(filepath.Join(o.dir, "program-*.tar")); err == nil {
		for _, other := range old {
			_ = os.Remove(other)
		}
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return "", err
	}
	made, err := os.CreateTemp(o.dir, "program-*.part")
	if err != nil {
		return "", err
	}
	defer os.Remove(made.Name())
	w := tar.NewWriter(made)
	err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: o.name(), Mode: 0o755, Size: info.Size()})
	if err == nil {
		_, err = io.Copy(w, program)
	}
	if err := errors.Join(err, w.Close(), made.Close()); err != nil {
		return "", err
	}
	return file, os.Rename(made.Name(), file)
}
