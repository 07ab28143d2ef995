package live

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/rehearsal"
)

const (
	// logLenMax bounds what is kept of the log of a node, in bytes; linesMax how many of its last lines a report may show.
	logLenMax = 8 << 20
	linesMax  = 12
	// killWait bounds the wait for a process that was killed.
	killWait = 10 * time.Second
)

// process is one run of a node.
type process struct {
	cmd    *exec.Cmd
	orders *os.File
	facts  drain
	ended  chan struct{} // closed when it has ended, and all that it said was read
	status error         // how, then

	mu   sync.Mutex
	last []string // lines of the log
}

// hears is told what a process says, on any goroutine.
type hears struct {
	fact  func(taulive.Fact)
	wrong func(line string) // an error of the log
	// unreadable: a fact cannot be read, as the last one of a process that was killed may be; further ones are not told.
	unreadable func(err error)
	over       func(p *process) // it has ended; nothing more is told
}

// start starts a node. Its log is appended to logFile.
func start(s *starter, program string, args []string, logFile string, h hears) (*process, error) {
	facts, factsOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ordersIn, orders, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, facts.Close(), factsOut.Close())
	}
	log, logOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, facts.Close(), factsOut.Close(), ordersIn.Close(), orders.Close())
	}
	p := &process{cmd: exec.Command(program, args...), orders: orders, ended: make(chan struct{})}
	p.cmd.Stderr, p.cmd.Stdout = logOut, logOut
	p.cmd.ExtraFiles = []*os.File{factsOut, ordersIn} // FactsFD, OrdersFD
	err = s.start(p.cmd)
	_, _, _ = factsOut.Close(), ordersIn.Close(), logOut.Close()
	if err != nil {
		return nil, errors.Join(err, facts.Close(), log.Close(), orders.Close())
	}
	var reading sync.WaitGroup
	p.facts.pipe = facts
	reading.Go(func() {
		if err := taulive.ReadFacts(&p.facts, h.fact); err != nil {
			h.unreadable(err)
		}
		_, _ = io.Copy(io.Discard, &p.facts)
		p.facts.over.Store(true)
		_ = facts.Close()
	})
	reading.Go(func() { p.readLog(log, logFile, h.wrong); _ = log.Close() })
	go func() {
		p.status = p.cmd.Wait()
		reading.Wait()
		_ = orders.Close()
		close(p.ended)
		h.over(p)
	}()
	return p, nil
}

// readLog keeps the log, and tells of errors.
func (p *process) readLog(log io.Reader, name string, wrong func(line string)) {
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		out = nil
	}
	size := int64(0)
	if info, err := os.Stat(name); err == nil {
		size = info.Size()
	}
	eachLine(log, func(line []byte) {
		if size += int64(len(line)) + 1; out != nil && size <= logLenMax {
			_, _ = out.Write(append(line, '\n'))
		}
		p.mu.Lock()
		p.last = append(p.last, string(line))
		p.last = p.last[max(0, len(p.last)-linesMax):]
		p.mu.Unlock()
		var l struct{ Level string }
		if json.Unmarshal(line, &l) == nil && l.Level == "ERROR" {
			wrong(string(line))
		}
	})
	if out != nil {
		_ = out.Close()
	}
}

// eachLine calls f with each line, of which what is too long is left out.
func eachLine(from io.Reader, f func(line []byte)) {
	const lineLenMax = 64 << 10
	var line []byte
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		for part := buffer[:n]; len(part) > 0; {
			text, rest, whole := bytes.Cut(part, []byte("\n"))
			if len(line)+len(text) <= lineLenMax {
				line = append(line, text...)
			}
			if part = rest; whole {
				f(bytes.Clone(line))
				line = line[:0]
			}
		}
		if err != nil {
			return
		}
	}
}

// tail is the end of the log.
func (p *process) tail() (text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.last {
		text += "\n  " + line
	}
	return text
}

// signal sends a signal; the process may have ended.
func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// kill ends it as a power cut would, and waits until nothing more is heard of it.
func (p *process) kill() error {
	p.signal(syscall.SIGKILL)
	select {
	case <-p.ended:
		return nil
	case <-time.After(killWait):
		return fmt.Errorf("process %d does not end", p.cmd.Process.Pid)
	}
}

// alive reports whether it has not ended.
func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// order gives an order.
func (p *process) order(o rehearsal.Order) { _ = rehearsal.WriteOrder(p.orders, o) }

// FindTau is the program that runs nodes: the one that is named, or the one beside this program, or one that is built of the same
// source into dir.
func FindTau(named, dir string) (string, error) {
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("--tau %s: %w", named, err)
		}
		return filepath.Abs(path)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	beside := filepath.Join(filepath.Dir(self), "tau")
	if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
		return beside, nil
	}
	built := filepath.Join(dir, "tau")
	build := exec.Command("go", "build", "-o", built, "github.com/taucloud/tau/cmd/tau")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("there is no tau beside %s, and none can be built here: %w: %s (--tau says where it is)", self, err, bytes.TrimSpace(out))
	}
	return built, nil
}
