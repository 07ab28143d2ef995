package patrick

import (
	"context"
	"strings"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// Bounds of the logs in memory.
const (
	tailLinesMax = 200 // per job, in memory, while it runs
	tailJobsMax  = 256
	logLenMax    = patrickapi.LogLenMax
)

// logs holds the ends of the logs of running jobs, the last tailJobsMax of them. They are best
// effort: the whole log is fetched as a block at the end.
type logs struct {
	tails map[string]*tail
	order []string // of first line
}

type tail struct {
	token fencing.Token
	next  int // number of the next expected line
	lines []string
}

func newLogs() *logs { return &logs{tails: map[string]*tail{}} }

// add appends lines of an attempt. Lines of an older attempt are dropped, those of a newer one
// replace all earlier lines.
func (l *logs) add(note patrickapi.LogNote) {
	t := l.tails[note.Job]
	if t == nil {
		t = &tail{token: note.Token}
		l.tails[note.Job] = t
		l.order = append(l.order, note.Job)
		if len(l.order) > tailJobsMax {
			delete(l.tails, l.order[0])
			l.order = l.order[1:]
		}
	}
	switch c := note.Token.Compare(t.token); {
	case c < 0:
		return
	case c > 0:
		*t = tail{token: note.Token}
	}
	if note.First < t.next {
		return // delivered twice
	}
	for _, line := range note.Lines[:min(len(note.Lines), patrickapi.LogLinesMax)] {
		t.lines = append(t.lines, line[:min(len(line), patrickapi.LogLineLenMax)])
	}
	t.next = note.First + len(note.Lines)
	t.lines = t.lines[max(0, len(t.lines)-tailLinesMax):]
}

func (s *Service) receiveLog(_ context.Context, from transport.Peer, note patrickapi.LogNote) {
	if j := s.board.active[note.Job]; j != nil && j.heldBy(note.Token) && note.Token.Holder == from {
		s.logs.add(note)
	}
}

// keepLog makes the log of an attempt durable here, from its monkey, which keeps it until then, and
// on as many other patricks as keep the job. It returns the number of copies; missing ones are made
// later.
func (s *Service) keepLog(ctx context.Context, req patrickapi.FinishRequest) (copies int) {
	root, err := cid.Decode(req.Log)
	if err != nil {
		return 0
	}
	if !s.HasSource(req.Log) {
		fetchCtx, cancel := clock.WithTimeout(ctx, s.env.Loop, keepTime(req.LogSize))
		defer cancel()
		holders := append([]transport.Peer{req.Token.Holder}, s.peers.others(patrickapi.BranchOf(req.Job))...)
		if err := s.fetch(fetchCtx, root, holders, logLenMax); err != nil {
			s.env.Log.Info("a log was not kept", "job", req.Job, "err", err)
			return 0
		}
	}
	size, _ := s.env.Blocks.Size(root) // 0 gives the timeout of a small log
	return 1 + s.spreadRoot(ctx, req.Job, keepRequest{Root: req.Log, Size: size}, s.copies()-1)
}

// readLogs returns the whole log of the last attempt that reported, fetching it if it is not here;
// or, of a running attempt, the lines that have arrived so far.
func (s *Service) readLogs(ctx context.Context, _ transport.Peer, req patrickapi.JobRequest) (patrickapi.LogsResponse, error) {
	state := s.read(req.Job)
	// A later attempt of a job that has succeeded may still run: its holder has not been told yet.
	running := state.Live && !state.Status.Final()
	switch tail := s.logs.tails[req.Job]; {
	case s.Forgot(req.Job):
		return patrickapi.LogsResponse{}, noLog("the job has ended and is forgotten")
	case state.Status == patrickapi.Unknown:
		return patrickapi.LogsResponse{}, noLog("no such job here")
	case running && tail != nil && tail.token == state.Top.Token && len(tail.lines) > 0:
		return patrickapi.LogsResponse{Lines: tail.lines}, nil
	case running:
		return patrickapi.LogsResponse{}, noLog("nothing has come here yet of the attempt that runs")
	case state.Outcome.Log == "" && state.Grants == 0:
		return patrickapi.LogsResponse{}, noLog("the job was not built yet")
	case state.Outcome.Log == "":
		return patrickapi.LogsResponse{}, noLog("no attempt has left a log")
	}
	return s.wholeLog(ctx, req.Job, state.Outcome.Log)
}

func noLog(why string) error { return transport.New(transport.NotFound, "patrick/logs", why) }

// wholeLog reads a log, from other patricks if need be.
func (s *Service) wholeLog(ctx context.Context, id, log string) (patrickapi.LogsResponse, error) {
	var none patrickapi.LogsResponse
	root, err := cid.Decode(log)
	if err != nil {
		return none, transport.New(transport.Internal, "patrick/logs", err.Error())
	}
	if !s.HasSource(log) {
		fetchCtx, cancel := clock.WithTimeout(ctx, s.env.Loop, keepTime(0))
		defer cancel()
		if err := s.fetch(fetchCtx, root, s.peers.others(patrickapi.BranchOf(id)), logLenMax); err != nil {
			return none, transport.New(transport.Unreachable, "patrick/logs", "the log is not here, and nobody who keeps it can be reached: "+err.Error())
		}
	}
	text, err := s.env.Blocks.Read(ctx, root, logLenMax)
	if err != nil {
		return none, fault("patrick/logs", "read", err)
	}
	return patrickapi.LogsResponse{Lines: strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), Full: true}, nil
}
