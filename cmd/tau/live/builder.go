package live

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/cmd/tau/sandbox"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/cmd/tau/toolchains"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/monkey"
)

// Toolchains are those of a node. unsandboxed: where there is no sandbox, builds run with the rights of the node. universe is as in Config.
func Toolchains(s *shape.Shape, paths shape.Paths, unsandboxed bool, universe string, found func(apart string)) *toolchains.Set {
	most, err := shape.ParseSize(s.BuildCache)
	if err != nil {
		most = 0 // a shape that was read has a size
	}
	warm, option := "", "; or tau start --allow-unsandboxed-builds, if you trust all who push"
	if universe != "" {
		warm, option = filepath.Join(universe, "warm"), ""
	}
	return toolchains.New(toolchains.Config{
		Go: s.GoRoot, ModuleCache: s.GoModules, WASI: s.WASI, Node: s.Node, AssemblyScript: s.AssemblyScript,
		Cache: filepath.Join(paths.Builds, "cache"), CacheLen: int64(most), Warm: warm, Networks: s.BuildNetwork,
		Find: func(ctx context.Context) (toolchains.Runner, error) {
			apart, err := sandbox.Find(ctx)
			switch {
			case err == nil:
				found(apart.Apart())
				return apart, nil
			case unsandboxed:
				bare := sandbox.Bare{Dir: filepath.Join(paths.Builds, "runs")}
				found(bare.Apart())
				return bare, nil
			}
			return nil, &toolchains.Missing{What: "nothing that was pushed runs on this node, as it has no sandbox", Remedy: err.Error() + option}
		},
	})
}

// builder makes steps of projects with the toolchains of the node, and of a tree without a project the artifact as it is.
type builder struct {
	loop clock.Loop
	set  *toolchains.Set
}

func newBuilder(cfg Config) func(node.Env) monkey.Builder {
	_ = os.RemoveAll(filepath.Join(cfg.Paths.Builds, "runs")) // what a node left that was killed
	return func(env node.Env) monkey.Builder {
		log := env.Log
		return &builder{loop: env.Loop, set: Toolchains(cfg.Shape, cfg.Paths, cfg.Unsandboxed, cfg.Universe, func(apart string) { log.Info("what is built is kept apart", "by", apart) })}
	}
}

// Build implements monkey.Builder.
func (b *builder) Build(ctx context.Context, r monkey.Request) (monkey.Result, error) {
	if r.Step != nil {
		return b.step(ctx, r)
	}
	artifact, entries := r.Tree.Encode(), map[string]string{}
	for _, f := range r.Tree.Files {
		sum := sha256.Sum256(f.Data)
		entries["files/"+f.Path] = hex.EncodeToString(sum[:8])
	}
	r.Log(fmt.Sprintf("%d files of %s at %s, %d bytes", len(r.Tree.Files), r.Job.Repository, r.Job.Commit, len(artifact)))
	return monkey.Result{Artifact: artifact, Entries: entries}, nil
}

// Toolchain is what carries out a step, by name and version.
func (b *builder) Toolchain(ctx context.Context, s build.Step) (version string, err error) {
	if left := clock.Offload(ctx, b.loop, func() { version, err = b.set.Toolchain(ctx, s) }); left != nil {
		return "", left
	}
	return version, err
}

func (b *builder) step(ctx context.Context, r monkey.Request) (monkey.Result, error) {
	order := toolchains.Order{Project: r.Job.Project, Step: *r.Step, Secrets: r.Secrets}
	for _, f := range r.Tree.Files {
		if name, in := strings.CutPrefix(f.Path, r.Step.Folder+"/"); in {
			order.Files = append(order.Files, build.File{Path: name, Data: f.Data})
		}
	}
	r.Flush() // what comes may be silent for long
	lines := &relay{loop: b.loop, log: r.Log, flush: r.Flush, more: make(chan struct{}, 1), over: make(chan struct{})}
	order.Line = lines.add
	var made toolchains.Made
	var err error
	if left := clock.Offload(ctx, b.loop, func() {
		var pump sync.WaitGroup
		pump.Go(func() { lines.pump(ctx) })
		made, err = b.set.Build(ctx, order)
		close(lines.over)
		pump.Wait()
	}); left != nil {
		return monkey.Result{}, left
	}
	switch {
	case sandbox.IsFault(err):
		return monkey.Result{}, monkey.UserError(fmt.Sprintf("%s: %v", r.Step.Targets[0], err))
	case err != nil:
		return monkey.Result{}, fmt.Errorf("%s: %s: %w", r.Step.Targets[0], r.Step.Toolchain, err)
	}
	if made.Kept {
		r.Log(fmt.Sprintf("%s: nothing has changed, so it is what was built before", r.Step.Targets[0]))
	}
	result := monkey.Result{Artifact: made.Asset, Toolchain: made.Version}
	if !made.Kept {
		result.Sandbox = made.Backend
		r.Log(fmt.Sprintf("%s: %s, %s", r.Step.Targets[0], cmp.Or(made.Version, string(r.Step.Toolchain)), made.Backend))
	}
	return result, nil
}

// relay passes lines of a build's goroutines to the loop, in order, while the build runs.
type relay struct {
	loop clock.Loop
	log  func(string)
	// flush lets others see the lines.
	flush func()
	more  chan struct{}
	over  chan struct{}
	mu    sync.Mutex
	wait  []string
	lost  int
}

// waitMax bounds the lines that wait for a busy loop.
const waitMax = 4096

func (l *relay) add(line string) {
	l.mu.Lock()
	if len(l.wait) < waitMax {
		l.wait = append(l.wait, line)
	} else {
		l.lost++
	}
	l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *relay) take() (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines, l.wait = l.wait, nil
	if l.lost > 0 {
		lines, l.lost = append(lines, fmt.Sprintf("(%d lines were left out)", l.lost)), 0
	}
	return lines
}

func (l *relay) pump(ctx context.Context) {
	for ended := false; !ended; {
		select {
		case <-l.more:
		case <-l.over:
			ended = true
		}
		if lines := l.take(); len(lines) > 0 {
			_ = clock.Do(ctx, l.loop, func(context.Context) { // a job that has ended has no log
				for _, line := range lines {
					l.log(line)
				}
				l.flush()
			})
		}
	}
}
