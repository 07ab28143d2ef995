package scenarios

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
)

// built is what must become of a pushed tree, by our own reading of what a build
// of the simulated builder is: no service is asked.
type built struct {
	source   string // CID of the tree
	artifact string // CID of what is built, "" if the build fails
	entries  string // digest of what tns is to know of it
	fail     string // "", "once" or "permanent"
}

// buildOf is the oracle for the tree of a push.
func buildOf(raw []byte) (built, error) {
	source, err := storage.RootOf(raw)
	if err != nil {
		return built{}, err
	}
	tree, err := patrickapi.DecodeTree(raw)
	if err != nil {
		return built{}, err
	}
	var m manifest
	if text, found := tree.File(manifestPath); found {
		if err := yaml.Unmarshal(text, &m); err != nil {
			return built{}, err
		}
	}
	out := built{source: source.String(), fail: m.Fail}
	if m.Fail == "permanent" {
		return out, nil
	}
	artifact, err := storage.RootOf(padded(raw, m.Size))
	out.artifact, out.entries = artifact.String(), entriesDigest(entriesOfTree(tree))
	return out, err
}

// padded lengthens content to a size by hashes of what there is.
func padded(content []byte, size int) []byte {
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

// entriesDigest tells lists of entries apart, whatever their order.
func entriesDigest(list []tnsapi.Entry) string {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b tnsapi.Entry) int { return strings.Compare(a.Path, b.Path) })
	h := sha256.New()
	for _, e := range list {
		fmt.Fprintf(h, "%q=%q\n", e.Path, e.Value)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
