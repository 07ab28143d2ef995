package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/taucloud/tau/scenarios/ports"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage/blocks"
	"github.com/taucloud/tau/transport"
)

// Built is what must become of a pushed tree, by our own reading of what a build
// of the simulated builder is: no service is asked.
type Built struct {
	Source   string // CID of the tree
	Artifact string // CID of what is built, "" if the build fails
	Entries  string // digest of what tns is to know of it
	Fail     string // "", "once" or "permanent"
	Assets   string // digest of the assets of a project, "" of a tree without one
}

// BuildOf is the oracle for the tree of a push to a branch of a project.
func BuildOf(project, branch string, raw []byte) (Built, error) {
	source, err := blocks.RootOf(raw)
	if err != nil {
		return Built{}, err
	}
	tree, err := patrickapi.DecodeTree(raw)
	if err != nil {
		return Built{}, err
	}
	var m ports.Manifest
	if text, found := tree.File(ports.ManifestPath); found {
		if err := yaml.Unmarshal(text, &m); err != nil {
			return Built{}, err
		}
	}
	out := Built{Source: source.String(), Fail: m.Fail}
	if m.Fail == "permanent" {
		return out, nil
	}
	if is, err := out.ofProject(project, branch, tree); is || err != nil {
		return out, err
	}
	artifact, err := blocks.RootOf(Padded(raw, m.Size))
	out.Artifact, out.Entries = artifact.String(), EntriesDigest(entriesOfTree(tree))
	return out, err
}

// SourceOf names content as patricks keep it.
func SourceOf(raw []byte) (string, error) {
	root, err := blocks.RootOf(raw)
	return root.String(), err
}

// Padded lengthens content to a size by hashes of what there is.
func Padded(content []byte, size int) []byte {
	out := slices.Clone(content)
	for sum := sha256.Sum256(out); len(out) < size; sum = sha256.Sum256(sum[:]) {
		out = append(out, sum[:]...)
	}
	return out
}

// entriesOfTree is what a registry is told of a tree: a hash of each file, and
// one of the whole.
func entriesOfTree(tree patrickapi.Tree) []tnsapi.Entry {
	short := func(data []byte) []byte {
		sum := sha256.Sum256(data)
		return []byte(hex.EncodeToString(sum[:8]))
	}
	list := []tnsapi.Entry{{Path: "tree/digest", Value: short(transport.Encode(tree))}}
	for _, f := range tree.Files {
		list = append(list, tnsapi.Entry{Path: "files/" + f.Path, Value: short(f.Data)})
	}
	return list
}

// EntriesDigest tells lists of entries apart, whatever their order.
func EntriesDigest(list []tnsapi.Entry) string {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b tnsapi.Entry) int { return strings.Compare(a.Path, b.Path) })
	h := sha256.New()
	for _, e := range list {
		fmt.Fprintf(h, "%q=%q\n", e.Path, e.Value)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Pushed is one push of a user.
type Pushed struct {
	Project, Repository, Branch, Commit string
	Event                               string
	Order                               uint64
	Built
	NewestWins bool
	At         time.Duration
}
