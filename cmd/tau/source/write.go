package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/taucloud/tau/project/tree"
)

// list tells a checker of all that is in a commit, while git lists it: a tree that unfolds to millions of entries
// costs no more than its bound.
func (j *job) list(ctx context.Context, commit string, c *tree.Checker) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := j.command(running, j.words().list(j.bare, commit)...)
	var said beginning
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return &Error{Failed, err.Error()}
	}
	refused := addAll(bufio.NewReaderSize(out, lineMax), c)
	if refused != nil {
		cancel()
	}
	err = cmd.Wait()
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return j.failure(ctx, said.String(), err)
	}
	return nil
}

// lineMax bounds a line of the list: longer paths are beyond any budget.
const lineMax = 16 << 10

func addAll(in *bufio.Reader, c *tree.Checker) error {
	for {
		line, err := in.ReadSlice(0)
		switch {
		case err == io.EOF && len(line) == 0:
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			_, name, _ := bytes.Cut(line, []byte{'\t'})
			return &tree.Problem{Path: tree.Shown(string(name)), Text: fmt.Sprintf("a path of more than %d bytes", lineMax-200)}
		case err != nil:
			return &Error{Failed, "git ended in the middle of its list"}
		}
		e, err := entryOf(string(line[:len(line)-1]))
		if err != nil {
			return err
		}
		if err := c.Add(e); err != nil {
			return err
		}
	}
}

// entryOf reads a line of ls-tree -l: MODE TYPE ID SIZE TAB PATH.
func entryOf(line string) (tree.Entry, error) {
	head, name, _ := strings.Cut(line, "\t")
	words := strings.Fields(head)
	if len(words) != 4 {
		return tree.Entry{}, &Error{Failed, "git lists what is no entry"}
	}
	mode, ok := tree.ModeOf(words[0])
	if !ok {
		return tree.Entry{}, &tree.Problem{Path: tree.Shown(name), Text: "neither a file nor a directory nor a link: its mode is " + tree.Shown(words[0])}
	}
	e := tree.Entry{Path: name, Mode: mode, ID: words[2]}
	if mode == tree.File || mode == tree.Executable {
		size, err := strconv.ParseInt(words[3], 10, 64)
		if err != nil || words[1] != "blob" {
			return tree.Entry{}, &tree.Problem{Path: tree.Shown(name), Text: "a file without content"}
		}
		e.Size = size
	}
	return e, nil
}

// write writes the files that a checker has let pass, one after the other.
func (j *job) write(ctx context.Context, c *tree.Checker, into *os.Root) (got Got, err error) {
	got.LeftOut = c.LeftOut()
	files := c.Files()
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := j.command(running, j.words().contents(j.bare)...)
	var said beginning
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return got, &Error{Failed, err.Error()}
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return got, &Error{Failed, err.Error()}
	}
	go func() { // git's answers fill the pipe before all is asked
		defer in.Close()
		for _, f := range files {
			if _, err := io.WriteString(in, f.ID+"\n"); err != nil {
				return
			}
		}
	}()
	refused := got.writeAll(bufio.NewReaderSize(out, 64<<10), files, into)
	if refused != nil {
		cancel()
	}
	err = cmd.Wait()
	switch {
	case refused != nil:
		return got, j.failure(ctx, said.String(), refused)
	case err != nil:
		return got, j.failure(ctx, said.String(), err)
	}
	return got, nil
}

func (g *Got) writeAll(in *bufio.Reader, files []tree.Entry, into *os.Root) error {
	made := map[string]bool{".": true}
	for _, f := range files {
		head, err := in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("git gives no content of %s", tree.Shown(f.Path))
		}
		if want := fmt.Sprintf("%s blob %d\n", f.ID, f.Size); string(head) != want {
			return fmt.Errorf("git gives something else for %s", tree.Shown(f.Path))
		}
		if dir := path.Dir(f.Path); !made[dir] {
			if err := into.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			made[dir] = true
		}
		if err := writeFile(in, f, into); err != nil {
			return err
		}
		if end, err := in.ReadByte(); err != nil || end != '\n' {
			return fmt.Errorf("git gives more than %s has", tree.Shown(f.Path))
		}
		g.Files, g.Bytes = g.Files+1, g.Bytes+f.Size
	}
	return nil
}

// writeFile writes a file that is not there yet. Only the executable bit of a mode counts.
func writeFile(in io.Reader, f tree.Entry, into *os.Root) error {
	mode := os.FileMode(0o644)
	if f.Mode == tree.Executable {
		mode = 0o755
	}
	out, err := into.OpenFile(f.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.CopyN(out, in, f.Size)
	return errors.Join(err, out.Close())
}
