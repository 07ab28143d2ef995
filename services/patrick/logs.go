package patrick

import (
	"context"
	"strings"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
)

// Bounds of what is held of logs.
const (
	tailLinesMax = 200 // per job, in memory, while it runs
	tailJobsMax  = 256
	logLenMax    = 1 << 20 // of a whole log, in bytes
	logTimeout   = 10 * time.Second
)

// logs holds the ends of the logs of running jobs, the last tailJobsMax of
// them. They are a courtesy: the whole log comes as a block at the end.
type logs struct {
	tails map[string]*tail
	order []string // of first line
}

type tail struct {
	token Token
	next  int // number of the line that is expected
	lines []string
}

func newLogs() *logs { return &logs{tails: map[string]*tail{}} }

// add appends lines of an attempt. Lines of an older attempt are dropped, those
// of a newer one replace what is there.
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
		return // told twice
	}
	for _, line := range note.Lines[:min(len(note.Lines), patrickapi.LogLinesMax)] {
		t.lines = append(t.lines, line[:min(len(line), patrickapi.LogLineLenMax)])
	}
	t.next = note.First + len(note.Lines)
	t.lines = t.lines[max(0, len(t.lines)-tailLinesMax):]
}

func (s *Service) takeLog(_ context.Context, from transport.Peer, note patrickapi.LogNote) {
	if j := s.board.active[note.Job]; j != nil && j.heldBy(note.Token) && note.Token.Holder == from {
		s.logs.add(note)
	}
}

// keepLog fetches the whole log from the monkey, which may go away.
func (s *Service) keepLog(req patrickapi.FinishRequest) {
	root, err := cid.Decode(req.Log)
	if err != nil {
		return
	}
	s.env.Loop.Go("keep-log", func(ctx context.Context) {
		ctx, cancel := clock.WithTimeout(ctx, s.env.Loop, logTimeout)
		defer cancel()
		if err := s.fetch(ctx, root, []transport.Peer{req.Token.Holder}, logLenMax); err != nil {
			s.env.Log.Info("a log was not kept", "job", req.Job, "err", err)
		}
	})
}

// readLogs returns the whole log if it is here, else what came so far.
func (s *Service) readLogs(ctx context.Context, _ transport.Peer, req patrickapi.JobRequest) (patrickapi.LogsResponse, error) {
	var resp patrickapi.LogsResponse
	state, err := s.read(req.Job)
	if err != nil {
		return resp, err
	}
	if state.Status == patrickapi.Unknown {
		return resp, transport.New(transport.NotFound, "patrick/logs", "no such job here")
	}
	if root, err := cid.Decode(state.Outcome.Log); err == nil && state.Status != patrickapi.Locked {
		if text, err := s.env.Blocks.Read(ctx, root, logLenMax); err == nil {
			return patrickapi.LogsResponse{Lines: strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), Full: true}, nil
		}
	}
	if t := s.logs.tails[req.Job]; t != nil {
		resp.Lines = t.lines
	}
	return resp, nil
}
