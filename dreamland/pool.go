package dreamland

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/taucloud/tau/sim/report"
	"github.com/taucloud/tau/sim/scenario"
)

// request asks a worker of a pool for a run. It is one line of JSON.
type request struct {
	File   string        `json:"file"` // its name; Text is what is in it
	Text   []byte        `json:"text"`
	Seed   uint64        `json:"seed"`
	Wire   string        `json:"wire"`
	Strict bool          `json:"strict"`
	Stall  time.Duration `json:"stall"`
}

// response is what came of it. Last: the worker ends, because its world could not be
// left.
type response struct {
	Result report.Result `json:"result"`
	Last   bool          `json:"last,omitempty"`
}

// pool has worker processes that make one run after the other. A process is only
// given another run when the last one was left in order.
type pool struct {
	ctx  context.Context // its end kills the workers
	mu   sync.Mutex
	idle []*worker
}

// worker is a process of a pool.
type worker struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *lastWords
	runs   int
}

// workerRunsMax is how many runs a worker makes before another takes its place, so that
// what a run leaves behind in a process, if anything, stays little.
const workerRunsMax = 500

func newPool(ctx context.Context) *pool { return &pool{ctx: ctx} }

// run makes a run. When the pool has ended meanwhile the result means nothing.
func (p *pool) run(j job) report.Result {
	w, err := p.take()
	if err != nil {
		return j.result(nil, []byte(err.Error()), err)
	}
	if j.timeout > 0 {
		defer time.AfterFunc(j.timeout, func() { _ = w.cmd.Process.Kill() }).Stop()
	}
	r, err := w.ask(j)
	if err != nil {
		return j.result(nil, w.end(), err)
	}
	if w.runs++; r.Last || r.Result.Breakdown != nil || w.runs >= workerRunsMax {
		w.end()
		return r.Result
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, w)
	return r.Result
}

// close ends the workers.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.idle {
		w.end()
	}
	p.idle = nil
}

func (p *pool) take() (*worker, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return w, nil
	}
	return startWorker(p.ctx)
}

func startWorker(ctx context.Context) (*worker, error) {
	w := &worker{cmd: exec.CommandContext(ctx, self(), workerCommandName), stderr: &lastWords{}}
	w.cmd.Env = append(os.Environ(), workerEnv+"="+poolWorker, "GOMAXPROCS=1")
	w.cmd.Stderr = w.stderr
	in, err := w.cmd.StdinPipe() // it ends when this is closed, which the system does if need be
	if err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.in, w.out = in, bufio.NewReaderSize(out, 1<<16)
	return w, w.cmd.Start()
}

// ask sends a request and reads the response.
func (w *worker) ask(j job) (r response, err error) {
	w.stderr.forget()
	line, err := json.Marshal(request{j.scenario.File, j.scenario.Text(), j.seed, j.wire, j.strict, j.stall})
	if err != nil {
		return r, err
	}
	if _, err = w.in.Write(append(line, '\n')); err != nil {
		return r, err
	}
	answer, err := w.out.ReadBytes('\n')
	if err != nil {
		return r, errors.New("no result")
	}
	return r, json.Unmarshal(answer, &r)
}

// end waits for the end of the process and returns its last words.
func (w *worker) end() []byte {
	_ = w.in.Close()
	if err := w.cmd.Wait(); err != nil && len(w.stderr.text()) == 0 {
		return []byte(err.Error())
	}
	return w.stderr.text()
}

// lastWords is what a process complains about, the first megabyte of it.
type lastWords struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const lastWordsMax = 1 << 20

func (l *lastWords) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Write(data[:min(len(data), max(0, lastWordsMax-l.buf.Len()))])
	return len(data), nil
}

func (l *lastWords) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
}

func (l *lastWords) text() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.buf.Bytes())
}

const workerCommandName = "worker"

// workerCommand is the other end of a pool.
func workerCommand() *cobra.Command {
	return &cobra.Command{
		Use: workerCommandName, Hidden: true, Args: cobra.NoArgs,
		Short: "Make the runs that another process asks for on stdin",
		RunE:  func(cmd *cobra.Command, _ []string) error { return serve(cmd.InOrStdin(), cmd.OutOrStdout()) },
	}
}

// parsedMax is how many scenarios a worker remembers.
const parsedMax = 100

// serve makes one run for each request, until there are no more.
func serve(in io.Reader, out io.Writer) error {
	requests := make(chan request)
	go readRequests(in, requests)
	parsed := map[[sha256.Size]byte]*scenario.Scenario{}
	for q := range requests {
		key := sha256.Sum256(append([]byte(q.File+"\x00"), q.Text...))
		s := parsed[key]
		if s == nil {
			var err error
			if s, err = scenario.Parse(q.File, q.Text, words.Vocabulary()); err != nil {
				return err
			}
			if len(parsed) >= parsedMax {
				clear(parsed)
			}
			parsed[key] = s
		}
		j := job{scenario: s, seed: q.Seed, wire: q.Wire, strict: q.Strict, stall: q.Stall}
		r, err := runHere(j, func(r report.Result) { _ = writeJSON(out, response{Result: r, Last: true}) }, nil)
		if err != nil {
			return err
		}
		if err := writeJSON(out, response{Result: r}); err != nil {
			return err
		}
	}
	return nil
}

// readRequests reads ahead, to notice at once, in the middle of a run, that nobody
// wants to know any more.
func readRequests(in io.Reader, requests chan<- request) {
	dec := json.NewDecoder(in)
	for {
		var q request
		if err := dec.Decode(&q); err != nil {
			if !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, err)
			}
			os.Exit(exitHeld) // whoever asked is gone, or has had enough
		}
		requests <- q
	}
}
