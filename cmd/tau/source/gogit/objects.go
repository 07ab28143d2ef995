package gogit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const (
	// cacheMax bounds the objects that are kept in memory, in bytes, and largeMin is from where on a content is not kept at all.
	cacheMax, largeMin = 8 << 20, 1 << 20
	// elsewhere is a file of a bare directory: its objects are those of a repository of this machine.
	elsewhere = "elsewhere"
)

// store is a bare directory.
type store = filesystem.Storage

// open opens a bare directory, or the repository that its objects are in.
func open(dir string) (*store, error) {
	if path, err := os.ReadFile(filepath.Join(dir, elsewhere)); err == nil {
		dir = string(path)
	}
	return at(dir), nil
}

func at(dir string) *store {
	return filesystem.NewStorageWithOptions(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRU(cacheMax), filesystem.Options{KeepDescriptors: true, LargeObjectThreshold: largeMin})
}

// gitDir is where a repository of this machine has its objects.
func gitDir(path string) (string, error) {
	for _, dir := range []string{path, filepath.Join(path, ".git")} {
		if info, err := os.Stat(filepath.Join(dir, "objects")); err == nil && info.IsDir() {
			return dir, nil
		}
	}
	return "", failed(ExitFailed, "there is no repository at %s", path)
}

// lend lets a bare directory have the objects of a repository of this machine.
func lend(dir, path, spec string) error {
	real, err := gitDir(path)
	if err != nil {
		return err
	}
	from, _, _ := strings.Cut(spec, ":")
	s := at(real)
	commit := plumbing.NewHash(from)
	if strings.HasPrefix(from, "refs/") {
		ref, err := s.Reference(plumbing.ReferenceName(from))
		if err != nil {
			return err
		}
		commit = ref.Hash()
	}
	if _, err := object.GetCommit(s, commit); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, elsewhere), []byte(real), 0o600)
}

func refsHere(path string, out io.Writer) error {
	real, err := gitDir(path)
	if err != nil {
		return err
	}
	iter, err := at(real).IterReferences()
	if err != nil {
		return err
	}
	var all []*plumbing.Reference
	if err := iter.ForEach(func(r *plumbing.Reference) error {
		all = append(all, r)
		return nil
	}); err != nil {
		return err
	}
	return printRefs(all, out)
}

// treeOf is the tree of a commit.
func treeOf(dir, commit string) (plumbing.Hash, error) {
	if len(commit) != 40 {
		return plumbing.ZeroHash, failed(ExitBad, "there is no git on this machine, and without one no repository with SHA-256 is fetched: install it, apt-get install git")
	}
	s, err := open(dir)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	c, err := object.GetCommit(s, plumbing.NewHash(commit))
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return c.TreeHash, nil
}

// list prints what is in a commit, as ls-tree -r -z -l does: MODE TYPE ID SIZE TAB PATH, each ended by a zero byte. Names are as they are.
func list(dir, commit string, out *bufio.Writer) error {
	root, err := treeOf(dir, commit)
	if err != nil {
		return err
	}
	s, err := open(dir)
	if err != nil {
		return err
	}
	return (&walk{store: s, out: out}).tree(root, "")
}

type walk struct {
	store *store
	out   *bufio.Writer
}

// The bits of a mode (Git's and the kernel's) that say what an entry is.
const modeKind, modeDir, modeFile, modeLink, modeRun = 0o170000, 0o040000, 0o100000, 0o120000, 0o100

// tree lists a tree. Who reads ends this process with the first path that is too long, and with the first that is one too many.
func (w *walk) tree(id plumbing.Hash, prefix string) error {
	o, err := w.object(plumbing.TreeObject, id)
	if err != nil {
		return err
	}
	r, err := o.Reader()
	if err != nil {
		return err
	}
	content, err := io.ReadAll(r)
	_ = r.Close()
	if err != nil {
		return err
	}
	for len(content) > 0 {
		octal, rest, ok := bytes.Cut(content, []byte{' '})
		name, rest, also := bytes.Cut(rest, []byte{0})
		mode, err := strconv.ParseUint(string(octal), 8, 32)
		if !ok || !also || err != nil || len(rest) < len(plumbing.ZeroHash) {
			return failed(ExitBad, "error: object %s: a tree that is none", id)
		}
		var of plumbing.Hash
		content = rest[copy(of[:], rest):]
		if err := w.entry(mode, of, prefix+string(name)); err != nil {
			return err
		}
	}
	return nil
}

// object is one that a commit is made of. What is not there was not sent; what is of another kind, the commit's author has made so.
func (w *walk) object(kind plumbing.ObjectType, id plumbing.Hash) (plumbing.EncodedObject, error) {
	o, err := w.store.EncodedObject(kind, id)
	if !errors.Is(err, plumbing.ErrObjectNotFound) {
		return o, err
	}
	if other, also := w.store.EncodedObject(plumbing.AnyObject, id); also == nil {
		return nil, failed(ExitBad, "error: object %s is a %s, not a %s", id, other.Type(), kind)
	}
	return nil, failed(ExitFailed, "the forge has not sent the %s %s", kind, id)
}

// entry lists one, with the mode that Git takes it for.
func (w *walk) entry(mode uint64, id plumbing.Hash, path string) (err error) {
	switch mode & modeKind {
	case modeDir:
		if _, err := fmt.Fprintf(w.out, "040000 tree %s       -\t%s\x00", id, path); err != nil {
			return err
		}
		return w.tree(id, path+"/")
	case modeFile, modeLink:
		o, err := w.object(plumbing.BlobObject, id) // EncodedObjectSize of v5.19.3 leaves files open
		if err != nil {
			return err
		}
		kind := "100644"
		switch {
		case mode&modeKind == modeLink:
			kind = "120000"
		case mode&modeRun != 0:
			kind = "100755"
		}
		_, err = fmt.Fprintf(w.out, "%s blob %s %7d\t%s\x00", kind, id, o.Size(), path)
		return err
	}
	_, err = fmt.Fprintf(w.out, "160000 commit %s       -\t%s\x00", id, path)
	return err
}

// contents gives out contents, as cat-file --batch does: for each ID on a line, ID blob SIZE, a line, the content, a line.
func contents(dir string, in io.Reader, out *bufio.Writer) error {
	s, err := open(dir)
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		o, err := s.EncodedObject(plumbing.BlobObject, plumbing.NewHash(lines.Text()))
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			fmt.Fprintf(out, "%s missing\n", lines.Text())
			continue
		}
		if err != nil {
			return err
		}
		r, err := o.Reader()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s blob %d\n", o.Hash(), o.Size())
		_, err = io.Copy(out, r)
		_ = r.Close()
		if err != nil {
			return err
		}
		if err := out.WriteByte('\n'); err != nil {
			return err
		}
	}
	return nil
}
