package patrickapi

import (
	"path"
	"slices"
	"strings"

	"github.com/taucloud/tau/transport"
)

// Tree is the content of a commit: files sorted by path. Equal trees have
// equal bytes when encoded.
type Tree struct {
	Files []File
}

// File is one file of a tree. Path is slash-separated, relative and clean.
type File struct {
	Path string
	Data []byte
}

// filesMax bounds the files of a tree.
const filesMax = 4096

// Encode sorts the files and returns the tree's bytes.
func (t Tree) Encode() []byte {
	sorted := Tree{Files: slices.Clone(t.Files)}
	sorted.Sort()
	return transport.Encode(sorted)
}

// Sort puts the files in order.
func (t Tree) Sort() {
	slices.SortFunc(t.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
}

// DecodeTree is the inverse of Encode. The error for an unclean tree has Kind Invalid.
func DecodeTree(data []byte) (Tree, error) {
	var t Tree
	if len(data) > TreeLenMax {
		return t, invalidTree("too large")
	}
	if err := transport.Decode(data, &t); err != nil {
		return t, err
	}
	if len(t.Files) > filesMax {
		return t, invalidTree("too many files")
	}
	for i, f := range t.Files {
		if f.Path == "." || path.Clean(f.Path) != f.Path || path.IsAbs(f.Path) || strings.HasPrefix(f.Path, "..") {
			return t, invalidTree("path " + f.Path)
		}
		if i > 0 && f.Path <= t.Files[i-1].Path {
			return t, invalidTree("paths out of order")
		}
	}
	return t, nil
}

// File returns a file's data, and whether there is one.
func (t Tree) File(name string) ([]byte, bool) {
	i, found := slices.BinarySearchFunc(t.Files, name, func(f File, name string) int { return strings.Compare(f.Path, name) })
	if !found {
		return nil, false
	}
	return t.Files[i].Data, true
}

func invalidTree(text string) error {
	return transport.New(transport.Invalid, "patrick/tree", text)
}
