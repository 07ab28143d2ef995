package source

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
)

// refsOutputMax bounds what a forge says of its branches, in bytes.
const refsOutputMax = 4 << 20

// Ref is where a branch is.
type Ref struct {
	// Name is whole: refs/heads/main.
	Name, Commit string
}

// Refs lists all branches of a repository, as the forge says. Commit and Branch of the request do not count.
func (g *Git) Refs(ctx context.Context, r Request) (list []Ref, err error) {
	list, err = g.lsRemote(ctx, r, true)
	return slices.DeleteFunc(list, func(r Ref) bool { return r.Name == "HEAD" }), err
}

// Head asks where the request's Branch is, or, if there is none of the name, what the repository shows to whoever names none. Commit of
// the request does not count.
func (g *Git) Head(ctx context.Context, r Request) (commit string, err error) {
	list, err := g.lsRemote(ctx, r, false)
	for _, ref := range list {
		if ref.Name == "refs/heads/"+r.Branch {
			return ref.Commit, nil
		}
		if ref.Name == "HEAD" {
			commit = ref.Commit
		}
	}
	if err == nil && commit == "" {
		err = &Error{Bad, "the repository has no branch " + r.Branch + ", and none that it shows first"}
	}
	return commit, err
}

// lsRemote lists branches, and HEAD, which may be left out if heads alone are asked for.
func (g *Git) lsRemote(ctx context.Context, r Request, heads bool) (list []Ref, err error) {
	r.Commit, r.Branch = strings.Repeat("0", 40), ""
	if err := r.check(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(r.URL, "file:") && !g.Files {
		return nil, &Error{Bad, "file:// addresses are not allowed here"}
	}
	ctx, cancel := context.WithTimeout(ctx, g.Within)
	defer cancel()
	j, err := g.open(r)
	if err != nil {
		return nil, &Error{Failed, err.Error()}
	}
	defer j.close()
	at, err := j.served(ctx, r.URL)
	if err != nil {
		return nil, err
	}
	cmd := j.command(ctx, j.words().refs(at, heads)...)
	var said beginning
	told := &whole{max: refsOutputMax}
	cmd.Stdout, cmd.Stderr = told, &said
	if err := cmd.Run(); err != nil {
		return nil, j.failure(ctx, said.String(), err)
	}
	if told.over {
		return nil, &Error{TooLarge, fmt.Sprintf("the forge says more than %d bytes of its branches", refsOutputMax)}
	}
	for line := range strings.Lines(told.String()) {
		commit, name, found := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if found && !heads && name != "HEAD" && !strings.HasPrefix(name, "refs/heads/") {
			continue // a tag, say
		}
		if !found || !commitForm.MatchString(commit) || name != "HEAD" && !strings.HasPrefix(name, "refs/heads/") {
			return nil, &Error{Failed, "the forge's answer is no list of branches"} // not whole, then: it would be taken for deletions
		}
		list = append(list, Ref{name, commit})
	}
	return list, nil
}

// whole keeps all that is written to it, up to a bound.
type whole struct {
	kept bytes.Buffer
	max  int
	over bool
}

func (w *whole) Write(p []byte) (int, error) {
	if w.over = w.over || w.kept.Len()+len(p) > w.max; !w.over {
		w.kept.Write(p)
	}
	return len(p), nil
}

func (w *whole) String() string { return w.kept.String() }
