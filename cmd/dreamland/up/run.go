package up

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/rehearsal"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/dreamland"
)

// runs begins a run of a node, in this process or in one of its own.
func (u *Universe) runs(m *member) (runner, error) {
	if u.wishes.processes {
		return u.inProcess(m)
	}
	s, err := shape.Load(m.paths.Config)
	if err != nil {
		return nil, err
	}
	out, err := openLog(u.place.nodeLog(m.Name))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	h := &here{over: make(chan struct{}), cancel: cancel}
	u.running.Go(func() {
		defer close(h.over)
		h.result = run(ctx, s, m.paths, u.place, u.relay.Address(), out, func() { h.crashed.Store(true); cancel(taulive.ErrKilled) }, true)
		if h.result == nil && h.crashed.Load() {
			h.result = errCrashed
		}
		_ = out.Close()
	})
	return h, nil
}

// run is a node, from its start to its end.
func run(ctx context.Context, s *shape.Shape, paths shape.Paths, of place, relay string, log io.Writer, crash func(), inOneProcess bool) error {
	pl, err := readPlan(of)
	if err != nil || pl == nil {
		return cmp.Or(err, fmt.Errorf("%s is gone", of.plan()))
	}
	return taulive.Run(ctx, taulive.Config{
		Others: othersOf(s, pl), Failpoints: true, InOneProcess: inOneProcess,
		Shape: s, Paths: paths, Log: taulive.NewLog(log, s.Level(), true), Release: "dreamland", Ready: func() {}, Crash: crash,
		Through: rehearsal.Dialer{Relay: relay, From: s.Name}, Universe: of.dir,
	})
}

// othersOf are all other nodes of a universe, by how a node is told of them, with what they offer; nil: it is not told of all.
func othersOf(s *shape.Shape, pl *plan) map[string][]string {
	others := map[string][]string{}
	for _, text := range s.Peers {
		for _, n := range pl.Nodes {
			if strings.HasPrefix(text, fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/", n.Port)) {
				others[text] = n.Services
			}
		}
	}
	if len(others)+1 != len(pl.Nodes) {
		return nil
	}
	return others
}

// errCrashed is why a node has ended by itself.
var errCrashed = errors.New("it has ended as in a power cut: by a failpoint, or because its disk has failed, which its log says")

// here is a run in this process.
type here struct {
	crashed atomic.Bool // by itself
	over    chan struct{}
	result  error // after over
	cancel  context.CancelCauseFunc
}

func (h *here) stop()                  { h.cancel(nil) }
func (h *here) kill()                  { h.cancel(taulive.ErrKilled) }
func (h *here) pause(bool) bool        { return false }
func (h *here) ended() <-chan struct{} { return h.over }
func (h *here) err() error             { return h.result }

// process is a run in a process of its own, which ends with this one.
type process struct {
	cmd   *exec.Cmd
	over  chan struct{}
	tail  *lastLines
	state error // after over
}

// inProcess begins one.
func (u *Universe) inProcess(m *member) (runner, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := openLog(u.place.nodeLog(m.Name))
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, nodeCommandName, u.place.node(m.Name), u.relay.Address()), over: make(chan struct{}), tail: &lastLines{to: log}}
	p.cmd.Env, p.cmd.Stderr, p.cmd.Stdout = os.Environ(), p.tail, p.tail
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's signals are for the universe, which ends its nodes in order
	if err = u.wishes.tie(p.cmd); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	u.running.Go(func() {
		defer close(p.over)
		if p.state = p.cmd.Wait(); p.state != nil {
			p.state = fmt.Errorf("%w: %s", p.state, p.tail.text())
		}
		_ = log.Close()
	})
	return p, nil
}

func (p *process) stop()                  { _ = p.cmd.Process.Signal(syscall.SIGTERM) }
func (p *process) kill()                  { _ = p.cmd.Process.Kill() }
func (p *process) ended() <-chan struct{} { return p.over }
func (p *process) err() error             { return p.state }
func (p *process) pause(paused bool) bool {
	signal := syscall.SIGCONT
	if paused {
		signal = syscall.SIGSTOP
	}
	return p.cmd.Process.Signal(signal) == nil
}

// nodeCommandName is that of the command that is a node of a universe in a process of its own.
const nodeCommandName = "universe-node"

// NodeCommand is hidden: dreamland up --processes starts it.
func NodeCommand(tools dreamland.Tools) *cobra.Command {
	return &cobra.Command{
		Use: nodeCommandName + " ROOT RELAY", Short: "Be one node of a universe; dreamland up --processes starts it", Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			paths := shape.PathsOf(args[0], shapeName)
			s, err := shape.Load(paths.Config)
			if err != nil {
				return err
			}
			ctx, stop := signalled()
			defer stop()
			if err := run(ctx, s, paths, placeOfNode(args[0]), args[1], cmd.ErrOrStderr(), func() { os.Exit(1) }, false); err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "%v\n", err)
				return tools.Failed
			}
			return nil
		},
	}
}

const (
	// logLenMax bounds the log of a node, in bytes; when it is reached, what was before is moved aside, and the one before that goes.
	logLenMax = 8 << 20
)

// rolling is a log that does not grow without end.
type rolling struct {
	path string
	mu   sync.Mutex
	f    *os.File
	size int64
}

func openLog(path string) (*rolling, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	r := &rolling{path: path}
	return r, r.open()
}

func (r *rolling) open() error {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if info, err := f.Stat(); err == nil {
		r.size = info.Size()
	}
	r.f = f
	return nil
}

// Write implements io.Writer: a log that cannot be written to is no reason for a node to end.
func (r *rolling) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size += int64(len(line)); r.size > logLenMax {
		if os.Rename(r.path, r.path+".1") == nil {
			_ = r.f.Close()
			if err := r.open(); err != nil {
				return len(line), nil
			}
			r.size = int64(len(line))
		}
	}
	_, _ = r.f.Write(line)
	return len(line), nil
}

// Close implements io.Closer.
func (r *rolling) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.f.Close()
}

// lastLines passes a log on and keeps its end, to say why a process has ended.
type lastLines struct {
	to io.Writer
	mu sync.Mutex
	is []byte
}

const lastLenMax = 600

// Write implements io.Writer.
func (l *lastLines) Write(line []byte) (int, error) {
	l.mu.Lock()
	l.is = append(l.is, line...)
	l.is = l.is[max(0, len(l.is)-lastLenMax):]
	l.mu.Unlock()
	return l.to.Write(line)
}

func (l *lastLines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.is)
}

// logger writes what the universe itself has to say.
func logger(to io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(to, nil)) }
