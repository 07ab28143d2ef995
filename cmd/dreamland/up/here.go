package up

import (
	"context"
	"io"
	"os"
	"path/filepath"
)

// Here is a universe in this process, for tests of projects.
type Here struct{ u *Universe }

// Begin makes a universe of the usual nodes below a directory, and returns when it is ready. What it has is gone when it is closed.
func Begin(ctx context.Context, dir string) (*Here, error) {
	u, err := open(place{filepath.Join(dir, "test")}, wishes{ephemeral: true})
	if err != nil {
		return nil, err
	}
	if err := u.ready(ctx); err != nil {
		_ = u.close()
		return nil, err
	}
	return &Here{u}, nil
}

// Close ends it: nothing of it is left.
func (h *Here) Close() error { return h.u.close() }

// HTTP is where projects answer, by the names of their hosts.
func (h *Here) HTTP() string { return local(h.u.plan.HTTP) }

// Nodes are the names of its nodes.
func (h *Here) Nodes() []string { return h.u.names() }

// Push deploys a folder as it is.
func (h *Here) Push(ctx context.Context, dir, project, branch string) (p Pushed, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return p, err
	}
	temp, err := os.MkdirTemp("", "dreamland-push-")
	if err != nil {
		return p, err
	}
	s := &snapshots{dir: abs, git: temp, remote: h.u.remote(project), project: project, branch: branch}
	defer s.remove()
	if _, err := git(temp, nil, "init", "--quiet", "--bare", "--template=", "."); err != nil {
		return p, err
	}
	return s.push(ctx, io.Discard)
}

// Kill ends a node at once, Start starts it again.
func (h *Here) Kill(node string) error {
	_, err := killNode(context.Background(), h.u, nodeIn{node})
	return err
}

// Start starts a node that is down.
func (h *Here) Start(node string) error {
	_, err := startNode(context.Background(), h.u, nodeIn{node})
	return err
}

// Partition lets nodes of different groups not hear of each other.
func (h *Here) Partition(groups [][]string) error {
	_, err := partition(context.Background(), h.u, Partition{groups})
	return err
}

// Heal ends the partition.
func (h *Here) Heal() error {
	_, err := heal(context.Background(), h.u, nothing{})
	return err
}
