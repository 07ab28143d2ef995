// Package tree says what the tree of a commit may hold, before any of it is written to a disk: which names,
// how deep, how many, how large. Whoever pushes chooses all of that, and whoever builds writes it.
//
// It is pure: a [Checker] is told of the entries one after the other, as they are read from a repository
// that nobody trusts, and ends with the first that is beyond its bounds; so it never holds more than those.
package tree

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mode is what an entry is.
type Mode uint8

// The modes: Git knows no others that count.
const (
	File Mode = iota + 1
	Executable
	Link      // a symbolic link
	Submodule // a commit of another repository
	Directory // told of before what is in it, or not at all: then it counts with the first that is
)

// ModeOf reads Git's mode of an entry, an octal number as ls-tree prints it. What Git's own writers have ever
// made counts: 100664 of old repositories is a file.
func ModeOf(octal string) (Mode, bool) {
	switch octal {
	case "100644", "100664":
		return File, true
	case "100755":
		return Executable, true
	case "120000":
		return Link, true
	case "160000":
		return Submodule, true
	case "040000":
		return Directory, true
	}
	return 0, false
}

// Entry is one thing in a tree.
type Entry struct {
	// Path is slash-separated and relative.
	Path string
	Mode Mode
	// Size is that of a file's content, in bytes, 0 for others.
	Size int64
	// ID names the content in its repository.
	ID string
}

// Budget bounds a tree. What is zero allows nothing.
type Budget struct {
	// Entries bounds files, links and submodules, and the directories that they are in.
	Entries int
	// Depth bounds the names of a path: a/b/c has three.
	Depth int
	// PathLen bounds a path, in bytes.
	PathLen int
	// FileLen bounds a file, TotalLen all of them, in bytes.
	FileLen, TotalLen int64
}

// DefaultBudget is for the sources of a project.
var DefaultBudget = Budget{Entries: 50_000, Depth: 32, PathLen: 1024, FileLen: 64 << 20, TotalLen: 512 << 20}

// Problem says why a tree is refused. It is the fault of whoever has made the tree: trying again is useless.
type Problem struct {
	// Path is the entry's, in a form that can be shown: quoted where it could not be.
	Path string
	Text string
}

func (p *Problem) Error() string { return p.Path + ": " + p.Text }

// Checker decides about the entries of one tree.
type Checker struct {
	budget Budget
	files  []Entry
	// names are the folded paths that are taken: true for a directory, with the spelling that has been seen first.
	names   map[string]name
	leftOut []string
	total   int64
}

type name struct {
	spelt string
	dir   bool
}

// NewChecker returns a checker of one tree.
func NewChecker(b Budget) *Checker { return &Checker{budget: b, names: map[string]name{}} }

// Add takes an entry, in any order but for directories. After an error the tree is refused and nothing more is to be added. Errors are
// of type *Problem.
func (c *Checker) Add(e Entry) error {
	if err := c.bounds(e); err != nil {
		return err
	}
	if err := c.take(e.Path, e.Mode == Directory); err != nil {
		return err
	}
	switch e.Mode {
	case Directory:
	case Link:
		return problem(e.Path, "a symbolic link: put the file itself there, links are not followed when a project is built")
	case Submodule:
		c.leftOut = append(c.leftOut, e.Path)
	default:
		c.total += e.Size
		c.files = append(c.files, e)
	}
	return nil
}

// bounds holds an entry against the budget, before anything of it is kept.
func (c *Checker) bounds(e Entry) error {
	b := c.budget
	switch {
	case len(e.Path) > b.PathLen:
		return problem(e.Path, "a path of more than %d bytes", b.PathLen)
	case strings.Count(e.Path, "/") >= b.Depth:
		return problem(e.Path, "more than %d directories deep", b.Depth-1)
	case e.Size < 0 || e.Size > b.FileLen:
		return problem(e.Path, "a file of %d bytes, at most %d are allowed", e.Size, b.FileLen)
	case (e.Mode == File || e.Mode == Executable) && e.Size > b.TotalLen-c.total:
		return problem(e.Path, "with it the tree has more than %d bytes", b.TotalLen)
	case e.Mode < File || e.Mode > Directory:
		return problem(e.Path, "neither a file nor a link")
	}
	return nil
}

// take takes a path and the directories above it: each name must be allowed, and no two may be one on a file system
// that does not tell cases apart.
func (c *Checker) take(path string, isDir bool) error {
	for at := 0; ; {
		i := strings.IndexByte(path[at:], '/')
		part := path[at:]
		if i >= 0 {
			part = path[at : at+i]
		}
		if why := refusal(part); why != "" {
			return problem(path, "%s", why)
		}
		spelt, above := path, i >= 0
		if above {
			spelt = path[:at+i]
		}
		dir := above || isDir
		key := fold(spelt)
		switch seen, taken := c.names[key]; {
		case !taken && len(c.names) == c.budget.Entries:
			return problem(path, "the tree has more than %d files and directories", c.budget.Entries)
		case !taken:
			c.names[key] = name{spelt, dir}
		case seen.spelt != spelt:
			return problem(path, "is one with %s where upper and lower case, or ways to write a letter, are not told apart", Shown(seen.spelt))
		case !above || !seen.dir:
			return problem(path, "%s is there twice", Shown(spelt))
		}
		if !above {
			return nil
		}
		at += i + 1
	}
}

// Files are the files that have been added, in the order of their paths.
func (c *Checker) Files() []Entry {
	slices.SortFunc(c.files, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	return c.files
}

// LeftOut are the submodules, which are not part of a project, in the order of their paths.
func (c *Checker) LeftOut() []string {
	slices.Sort(c.leftOut)
	return c.leftOut
}

func problem(path, format string, args ...any) error {
	return &Problem{Shown(path), fmt.Sprintf(format, args...)}
}
