// Package toolchains makes assets of the steps of a project with the compilers of this machine, each run in a sandbox: Go, C and
// AssemblyScript modules, bundles of JavaScript, and what the shell scripts of a folder make of it.
//
// What a toolchain makes is a function of the folder and of the toolchain's version, so it is kept by both: what did not change is
// not made again.
package toolchains

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/taucloud/tau/cmd/tau/sandbox"
	"github.com/taucloud/tau/project/build"
)

// Runner runs the jobs: a sandbox, or what is used in place of one.
type Runner interface {
	Run(ctx context.Context, j sandbox.Job) ([]byte, error)
	// Backend says in a word what keeps runs apart, Apart in whole, and why not more does.
	Backend() string
	Apart() string
}

// Config says where toolchains are. What is "" is looked for.
type Config struct {
	// Go is a GOROOT; ModuleCache a GOMODCACHE of which modules may be taken, "" for none: then modules have what they need in vendor.
	Go, ModuleCache string
	// WASI is the directory of a wasi-sdk; "": clang and wasi-libc of the system.
	WASI string
	// Node is the program node, AssemblyScript a directory that holds assemblyscript and what it needs: a node_modules.
	Node, AssemblyScript string
	// Cache is a directory for what was made and for warm caches of compilers, CacheLen bounds it, in bytes.
	Cache    string
	CacheLen int64
	// Warm is a directory for warm caches that other nodes of the same user share; "": they are in Cache.
	Warm string
	// Networks are the projects whose scripts may reach the network.
	Networks []string
	// Engine runs steps that name an image; nil: they are refused.
	Engine Engine
	// Find returns what runs jobs. The error says what is missing, and what to do.
	Find func(ctx context.Context) (Runner, error)
}

// Set is the toolchains of a node.
type Set struct {
	cfg   Config
	cache *cache

	mu     sync.Mutex
	runner Runner
	tools  map[build.Toolchain]*tool
	failed map[build.Toolchain]failed // "" is the sandbox
}

type failed struct {
	why   error
	until time.Time
}

// lookAgain is how long it is believed that something is missing.
const lookAgain = 30 * time.Second

// New returns the toolchains of a node. Nothing is looked for before it is needed.
func New(cfg Config) *Set {
	return &Set{cfg: cfg, cache: &cache{dir: cfg.Cache, max: cfg.CacheLen}, tools: map[build.Toolchain]*tool{}, failed: map[build.Toolchain]failed{}}
}

// tool is a toolchain that was found.
type tool struct {
	// version is what it says of itself.
	version string
	mounts  []sandbox.Mount
	env     map[string]string
	// script makes the result of a step's files.
	script func(s build.Step, files []sandbox.File) (string, error)
	// base prepares an archive of what is laid beside the files; nil: nothing is.
	base func(ctx context.Context, line func(string)) (string, error)
	// finish makes the asset of the result; nil: it is the asset.
	finish func(s build.Step, result []byte) ([]byte, error)
	// engine runs it in a container; nil: it runs in the sandbox.
	engine Engine
	// secrets are for it; private: what it makes depends on them, and nobody else is given it.
	secrets bool
}

// kinds are the toolchains that run a program.
var kinds = []build.Toolchain{build.Go, build.C, build.AssemblyScript, build.JavaScript, build.Script}

// Missing is an error that says what is not on this machine, and what to do.
type Missing struct{ What, Remedy string }

func (m *Missing) Error() string { return m.What + ": " + m.Remedy }

// run finds what runs jobs.
func (s *Set) run(ctx context.Context) (Runner, error) {
	if s.runner != nil {
		return s.runner, nil
	}
	if f, known := s.failed[""]; known && time.Now().Before(f.until) {
		return nil, f.why
	}
	r, err := s.cfg.Find(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.failed[""] = failed{err, time.Now().Add(lookAgain)}
		}
		return nil, err
	}
	s.runner = r
	return r, nil
}

// tool finds a toolchain. Only one is looked for at a time.
func (s *Set) tool(ctx context.Context, kind build.Toolchain) (Runner, *tool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.run(ctx)
	if err != nil {
		return nil, nil, err
	}
	if t := s.tools[kind]; t != nil {
		return r, t, nil
	}
	if f, known := s.failed[kind]; known && time.Now().Before(f.until) {
		return nil, nil, f.why
	}
	var t *tool
	switch kind {
	case build.Go:
		t, err = s.findGo(ctx, r)
	case build.C:
		t, err = s.findC(ctx, r)
	case build.AssemblyScript:
		t, err = s.findAssemblyScript(ctx, r)
	case build.JavaScript:
		t, err = s.findJavaScript(ctx, r)
	case build.Script:
		t = scripts()
	case build.Container:
		t = contained(s.cfg.Engine)
	default:
		err = &Missing{fmt.Sprintf("no node builds %s", kind), "build it before the push, and keep the module as main.wasm"}
	}
	if err != nil {
		if ctx.Err() == nil {
			s.failed[kind] = failed{err, time.Now().Add(lookAgain)}
		}
		return nil, nil, err
	}
	s.tools[kind] = t
	return r, t, nil
}

// Toolchain is what carries out a step, by name and version; "" if what it makes depends on more than that.
func (s *Set) Toolchain(ctx context.Context, step build.Step) (string, error) {
	_, t, err := s.tool(ctx, step.Toolchain)
	if err != nil || t.secrets {
		return "", err
	}
	return t.version, nil
}

// Finding is what there is of one toolchain, or of the sandbox.
type Finding struct {
	// Name is that of the toolchain, or "sandbox".
	Name string
	// Version is what was found, Err why nothing was.
	Version string
	Err     error
}

// Look looks for everything.
func (s *Set) Look(ctx context.Context) (list []Finding) {
	s.mu.Lock()
	r, err := s.run(ctx)
	s.mu.Unlock()
	f := Finding{Name: "sandbox", Err: err}
	if err != nil {
		return []Finding{f}
	}
	f.Version = r.Apart()
	list = append(list, f)
	for _, kind := range kinds {
		if kind == build.Script {
			continue // it is the sandbox itself
		}
		f := Finding{Name: string(kind)}
		if _, t, err := s.tool(ctx, kind); err != nil {
			f.Err = err
		} else {
			f.Version = t.version
		}
		list = append(list, f)
	}
	return list
}

// Order is a step to carry out.
type Order struct {
	Project string
	Step    build.Step
	// Files are those of the step's folder, by their paths in it.
	Files   []build.File
	Secrets map[string]string
	// Line takes what the toolchain says, from another goroutine.
	Line func(string)
}

// Made is what came of an order.
type Made struct {
	Asset   []byte
	Version string
	// Backend says what kept the build apart.
	Backend string
	// Kept: it was made before.
	Kept bool
}

// Build carries out a step. An error that [sandbox.IsFault] is the fault of whoever has pushed.
func (s *Set) Build(ctx context.Context, o Order) (m Made, err error) {
	r, t, err := s.tool(ctx, o.Step.Toolchain)
	if err != nil {
		return m, err
	}
	m.Version, m.Backend = t.version, r.Backend()
	if t.engine != nil {
		m.Backend = t.engine.Backend()
	}
	key := s.key(t, o)
	if asset, ok := s.cache.get(key); ok {
		m.Asset, m.Kept = asset, true
		return m, nil
	}
	said := &tail{line: o.Line}
	job := sandbox.Job{Env: maps.Clone(t.env), Mounts: t.mounts, Limits: sandbox.DefaultLimits, Line: fromRoot(o, said.add), Folder: source}
	if job.Env == nil {
		job.Env = map[string]string{}
	}
	for _, f := range o.Files {
		job.Files = append(job.Files, sandbox.File{Path: path.Join(source, f.Path), Data: f.Data})
	}
	if job.Script, err = t.script(o.Step, job.Files); err != nil {
		return m, err
	}
	if t.secrets {
		maps.Copy(job.Env, o.Secrets)
		job.Network = slices.Contains(s.cfg.Networks, o.Project) && o.Step.Network != build.NetworkNone
		if o.Step.Network == build.NetworkNeeded && !job.Network {
			return m, fault("its steps need the network (build.network), which the operator of this node has not allowed to the project %s (build-network): bring what they need with the code, or ask the operator", o.Project)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Secrets)) {
		job.Secrets = append(job.Secrets, o.Secrets[name])
	}
	if t.base != nil {
		if job.Base, err = t.base(ctx, o.Line); err != nil {
			return m, err
		}
	}
	var result []byte
	if t.engine != nil {
		result, err = t.engine.Run(ctx, o.Step.Image, job)
	} else {
		result, err = r.Run(ctx, job)
	}
	if err == nil && t.finish != nil {
		result, err = t.finish(o.Step, result)
	}
	if err != nil {
		return m, said.explain(err)
	}
	m.Asset = result
	s.cache.put(key, result)
	return m, nil
}

// source is the folder that the files of a step are in.
const source = "source"

// key is by what an asset is kept: equal keys, equal assets.
func (s *Set) key(t *tool, o Order) string {
	h := sha256.New()
	text := func(t string) { fmt.Fprintf(h, "%d:%s", len(t), t) }
	text(o.Step.Key)
	text(string(o.Step.Toolchain))
	text(t.version)
	if t.secrets {
		text(o.Project)
		for _, name := range slices.Sorted(maps.Keys(o.Secrets)) {
			text(name)
			text(o.Secrets[name])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// tail keeps the first lines that say something, and the last, for the error: compilers begin with what is wrong, scripts end with it.
type tail struct {
	line  func(string)
	mu    sync.Mutex
	first []string
	last  string
}

// firstMax is how many of the first lines are kept.
const firstMax = 3

func (t *tail) add(line string) {
	t.mu.Lock()
	switch text := strings.TrimSpace(line); {
	case text == "":
	case len(t.first) < firstMax:
		t.first = append(t.first, text)
	default:
		t.last = text
	}
	t.mu.Unlock()
	t.line(line)
}

func (t *tail) explain(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	said := t.first
	if t.last != "" {
		said = append(said, "...", t.last)
	}
	if !sandbox.IsFault(err) || len(said) == 0 {
		return err
	}
	return &sandbox.Fault{Text: fmt.Sprintf("%v: %s", err, strings.Join(said, " | "))}
}

// probe runs a script of the node's own to find out whether a toolchain works, and returns what it made and said.
func probe(ctx context.Context, r Runner, mounts []sandbox.Mount, env map[string]string, script string, files ...sandbox.File) (string, error) {
	limits := sandbox.DefaultLimits
	limits.Within, limits.Result = time.Minute, 1<<20
	var mu sync.Mutex
	said := ""
	result, err := r.Run(ctx, sandbox.Job{Script: script, Env: env, Mounts: mounts, Limits: limits, Files: files, Line: func(l string) {
		mu.Lock()
		defer mu.Unlock()
		if said == "" {
			said = l
		}
	}})
	mu.Lock()
	defer mu.Unlock()
	if err != nil && said != "" {
		err = fmt.Errorf("%w: %s", err, said)
	}
	return strings.TrimSpace(string(result)), err
}

// quoted is a word for a shell that means itself.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

func fault(format string, args ...any) error {
	return &sandbox.Fault{Text: fmt.Sprintf(format, args...)}
}
