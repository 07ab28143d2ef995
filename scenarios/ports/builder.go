package ports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/monkey"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// ManifestPath is the file of a tree that tells the builder what to do.
const ManifestPath = "build.yaml"

// Manifest is the content of manifestPath. All of it may be left out.
type Manifest struct {
	// Fail is "permanent" (the fault of what was pushed), "once" (the first
	// attempt fails) or "" for neither.
	Fail string `yaml:"fail"`
	// Time is how long the build takes, "45s"; "" is up to the builder.
	Time string `yaml:"time"`
	// Leak prints the build secrets.
	Leak bool `yaml:"leak"`
	// Size is the least size of the artifact in bytes.
	Size int `yaml:"size"`
}

// artifactLenMax bounds what a manifest can ask for, in bytes.
const artifactLenMax = 8 << 20

// How long a build takes that does not say so itself.
const (
	buildTimeMin = 2 * time.Second
	buildTimeMax = 8 * time.Second
)

// stepTime is how long the builder works between two log lines.
const stepTime = 500 * time.Millisecond

// Builder is a monkey.Builder that takes time and makes a real artifact,
// a pure function of the tree and its toolchains, without running anything.
type Builder struct {
	Loop             clock.Loop
	Rand             *rand.Rand
	TimeMin, TimeMax time.Duration
}

// NewBuilder is the builder of a simulated monkey.
func NewBuilder(env node.Env) monkey.Builder {
	return &Builder{Loop: env.Loop, Rand: env.Rand, TimeMin: buildTimeMin, TimeMax: buildTimeMax}
}

// Build implements monkey.Builder.
func (b *Builder) Build(ctx context.Context, r monkey.Request) (monkey.Result, error) {
	m, err := readManifest(r.Tree)
	if err != nil {
		return monkey.Result{}, err
	}
	if err := b.work(ctx, r, b.duration(m), m.Leak); err != nil {
		return monkey.Result{}, err
	}
	where := ""
	if r.Step != nil { // the manifest, at the root of the tree, is about each step of a project
		where = r.Step.Folder + ": "
	}
	switch {
	case m.Fail == "permanent":
		return monkey.Result{}, monkey.UserError(where + "the manifest says: fail")
	case m.Fail == "once" && r.Attempt == 1:
		return monkey.Result{}, errors.New("the manifest says: fail once")
	}
	if r.Step != nil {
		return monkey.Result{Artifact: ModuleOf(*r.Step, r.Tree), Toolchain: ToolchainVersion}, nil
	}
	return monkey.Result{Artifact: assemble(r.Tree, m.Size), Entries: describe(r.Tree)}, nil
}

func readManifest(t patrickapi.Tree) (Manifest, error) {
	var m Manifest
	text, found := t.File(ManifestPath)
	if !found {
		return m, nil
	}
	if err := yaml.UnmarshalWithOptions(text, &m, yaml.Strict()); err != nil {
		return m, monkey.UserError(ManifestPath + ": " + err.Error())
	}
	if _, err := time.ParseDuration(m.Time); m.Time != "" && err != nil {
		return m, monkey.UserError(ManifestPath + ": time: " + err.Error())
	}
	if m.Size < 0 || m.Size > artifactLenMax {
		return m, monkey.UserError(fmt.Sprintf("%s: size %d is not within 0 and %d", ManifestPath, m.Size, artifactLenMax))
	}
	return m, nil
}

func (b *Builder) duration(m Manifest) time.Duration {
	if d, err := time.ParseDuration(m.Time); err == nil {
		return d
	}
	return b.TimeMin + time.Duration(b.Rand.Int64N(int64(max(0, b.TimeMax-b.TimeMin))+1))
}

// work passes the time and writes the log.
func (b *Builder) work(ctx context.Context, r monkey.Request, d time.Duration, leak bool) error {
	r.Log(fmt.Sprintf("building %s at %s, %d files", r.Job.Repository, r.Job.Commit, len(r.Tree.Files)))
	if leak {
		for _, name := range slices.Sorted(maps.Keys(r.Secrets)) {
			r.Log(name + " is " + r.Secrets[name])
		}
	}
	step := max(stepTime, d/8)
	for done := time.Duration(0); done < d; done += step {
		if err := clock.Sleep(ctx, b.Loop, min(step, d-done)); err != nil {
			return err
		}
		r.Log(fmt.Sprintf("%3d%%", 100*min(done+step, d)/d))
	}
	if d <= 0 {
		r.Log("100%") // the last line of a build that is done, however short
	}
	return nil
}

// assemble is the artifact: the tree, and padding that follows from it.
func assemble(t patrickapi.Tree, sizeMin int) []byte {
	out := t.Encode()
	sum := sha256.Sum256(out)
	for len(out) < sizeMin {
		out = append(out, sum[:]...)
		sum = sha256.Sum256(sum[:])
	}
	return out
}

// describe lists the files, as what a registry might know of a project.
func describe(t patrickapi.Tree) map[string]string {
	sum := sha256.Sum256(transport.Encode(t))
	entries := map[string]string{"tree/digest": hex.EncodeToString(sum[:8])}
	for _, f := range t.Files {
		sum := sha256.Sum256(f.Data)
		entries["files/"+f.Path] = hex.EncodeToString(sum[:8])
	}
	return entries
}
