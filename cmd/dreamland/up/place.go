// Package up is dreamland up: a whole cloud on this machine, for whoever makes something for it. A universe is the nodes of one cloud,
// with disks and ports of their own, a Git forge, and an API on loopback by which it is asked and told; its state outlives its
// processes. The nodes are those of tau start (package cmd/tau/live), in one process or in one each.
package up

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// place is where a universe has what it has.
type place struct{ dir string }

func (p place) plan() string            { return filepath.Join(p.dir, "universe.json") }
func (p place) run() string             { return filepath.Join(p.dir, "running.json") }
func (p place) token() string           { return filepath.Join(p.dir, "token") }
func (p place) cloudKey() string        { return filepath.Join(p.dir, "cloud.key") }
func (p place) lock() string            { return filepath.Join(p.dir, "lock") }
func (p place) log() string             { return filepath.Join(p.dir, "log", "up.log") }
func (p place) git() string             { return filepath.Join(p.dir, "git") }
func (p place) node(name string) string { return filepath.Join(p.dir, "nodes", name) }

func (p place) nodeLog(name string) string { return filepath.Join(p.dir, "log", name+".jsonl") }

// placeOfNode is the universe of which a node has its root.
func placeOfNode(root string) place { return place{filepath.Dir(filepath.Dir(root))} }

// name is the universe's.
func (p place) name() string { return filepath.Base(p.dir) }

// universes is the directory of all of them: in the user's directory for state, as XDG has it.
func universes() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // which XDG says to ignore
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("%w: set XDG_STATE_HOME to where universes have their state", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "dreamland"), nil
}

// alone reports whether who names no universe means this one: it is the one without a name, or the only one that there is.
func (p place) alone() bool { return p.name() == defaultName || len(known()) == 1 }

// names are parts of domain names, too.
var nameForm = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$`)

func placeOf(name string) (place, error) {
	if !nameForm.MatchString(name) {
		return place{}, fmt.Errorf("%.64q is no name of a universe: lower-case letters, digits and -, a letter first, at most 32", name)
	}
	base, err := universes()
	return place{filepath.Join(base, name)}, err
}

// known lists the universes that there are, by name.
func known() (list []place) {
	base, err := universes()
	if err != nil {
		return nil
	}
	entries, _ := os.ReadDir(base)
	for _, e := range entries {
		if p := (place{filepath.Join(base, e.Name())}); e.IsDir() && nameForm.MatchString(e.Name()) && exists(p.plan()) {
			list = append(list, p)
		}
	}
	return list
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// errRuns says that a process has the universe.
var errRuns = errors.New("runs already")

// take makes sure that one process at a time has a universe.
func (p place) take() (unlock func(), err error) {
	for {
		if err := os.MkdirAll(p.dir, 0o700); err != nil {
			return nil, err
		}
		f, err := p.locked(os.O_CREATE)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it was removed meanwhile
			continue
		case err != nil:
			return nil, err
		}
		is, err := f.Stat()
		if now, gone := os.Stat(p.lock()); err == nil && gone == nil && os.SameFile(is, now) {
			return func() { _ = f.Close() }, nil
		}
		_ = f.Close() // it was removed, with its universe, before it was locked
	}
}

// locked is the file of the lock, locked.
func (p place) locked(create int) (*os.File, error) {
	f, err := os.OpenFile(p.lock(), os.O_RDWR|create, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errRuns
		}
		return nil, fmt.Errorf("lock %s: %w", p.lock(), err)
	}
	return f, nil
}

// remove removes all that a universe has, whose lock this process has. The lock goes last: from then on whatever is there is somebody else's.
func (p place) remove() error {
	if err := p.clear(); err != nil {
		return err
	}
	if err := os.Remove(p.lock()); err != nil {
		return err
	}
	if err := os.Remove(p.dir); err != nil && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// taken reports whether a process has it.
func (p place) taken() bool {
	f, err := p.locked(0)
	if err == nil {
		_ = f.Close()
	}
	return errors.Is(err, errRuns)
}

// Running is what a universe that runs says of itself, in a file of its state and to who starts it.
type Running struct {
	Name string `json:"name"`
	// HTTP is where projects answer, below their names; "" if no node runs gateway.
	HTTP string `json:"http"`
	// Admin is where the universe is asked, with the token of the file Token; Git where projects are pushed to.
	Admin string   `json:"admin"`
	Git   string   `json:"git"`
	Token string   `json:"token"`
	Dir   string   `json:"dir"`
	PID   int      `json:"pid"`
	Ready bool     `json:"ready"`
	Nodes []string `json:"nodes"`
}

// running is what the process says that has the universe; false if there is none, or it has not said anything yet.
func (p place) running() (r Running, up bool) {
	if !p.taken() {
		return r, false
	}
	return r, readJSON(p.run(), &r) == nil
}

// theUniverse is the one that a command is about which names none: that of the environment, or the only one that runs, or else
// the one that dreamland up makes.
func theUniverse(name string) (place, error) {
	if name == "" {
		name = os.Getenv("DREAMLAND_UNIVERSE")
	}
	if name != "" {
		return placeOf(name)
	}
	var up []string
	for _, p := range known() {
		if p.taken() {
			up = append(up, p.name())
		}
	}
	switch {
	case len(up) == 1:
		return placeOf(up[0])
	case len(up) > 1 && !slices.Contains(up, defaultName):
		return place{}, fmt.Errorf("more than one universe runs: say which with -u: %s", strings.Join(up, ", "))
	}
	return placeOf(defaultName)
}

// defaultName is that of a universe to which nobody has given a name.
const defaultName = "default"

// fileLenMax bounds the files that a universe keeps of itself, in bytes.
const fileLenMax = 1 << 20

func readJSON(path string, into any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.Size() > fileLenMax {
		return fmt.Errorf("%s has more than %d bytes", path, fileLenMax)
	}
	if err := json.NewDecoder(f).Decode(into); err != nil {
		return fmt.Errorf("%s is damaged: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(raw, '\n'))
}
