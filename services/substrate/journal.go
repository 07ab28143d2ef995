package substrate

import (
	"container/list"
	"context"
	"strings"

	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/transport"
)

const (
	// linesMax and ringMax bound the log of one function, in lines and bytes; journalMax that of all, in bytes: the functions that have
	// said nothing for longest are forgotten first.
	linesMax, ringMax, journalMax = 1000, 256 << 10, 16 << 20
	// lineMax bounds a line, in bytes.
	lineMax = 1 << 10
	// lineCost is what a line costs beside its text.
	lineCost = 128
)

// journal is what functions have said, the end of it. It is pure.
type journal struct {
	rings map[string]*ring
	order list.List // of *ring; the first has said something last
	size  int
}

// ring is the log of a function.
type ring struct {
	name  string
	lines []substrateapi.LogLine
	last  uint64 // the number of the newest line
	size  int
	at    *list.Element
}

// add takes what a request has made its function say.
func (j *journal) add(name, text string, line substrateapi.LogLine) {
	text = strings.TrimSuffix(text, "\n")
	if text == "" {
		return
	}
	if j.rings == nil {
		j.rings = map[string]*ring{}
	}
	r := j.rings[name]
	if r == nil {
		r = &ring{name: name}
		r.at = j.order.PushFront(r)
		j.rings[name] = r
	}
	j.order.MoveToFront(r.at)
	for part := range strings.SplitSeq(text, "\n") {
		r.last++
		line.Seq, line.Text = r.last, strings.ToValidUTF8(part[:min(len(part), lineMax)], "\uFFFD")
		r.lines = append(r.lines, line)
		j.resize(r, len(line.Text)+lineCost)
	}
	for len(r.lines) > linesMax || r.size > ringMax {
		j.resize(r, -len(r.lines[0].Text)-lineCost)
		r.lines = r.lines[1:]
	}
	for j.size > journalMax && j.order.Len() > 1 {
		oldest := j.order.Back().Value.(*ring)
		j.order.Remove(oldest.at)
		delete(j.rings, oldest.name)
		j.size -= oldest.size
	}
}

func (j *journal) resize(r *ring, by int) {
	r.size += by
	j.size += by
}

// page is what comes after a line, as much of it as one answer may have.
func (j *journal) page(name string, after uint64) (lines []substrateapi.LogLine, lost uint64) {
	r := j.rings[name]
	if r == nil || len(r.lines) == 0 {
		return nil, 0
	}
	if after > r.last {
		after = 0 // the log was forgotten, and has begun anew
	}
	first := r.lines[0].Seq
	if after+1 < first {
		lost, after = first-1-after, first-1
	}
	size := 0
	for _, l := range r.lines[after+1-first:] {
		if size += len(l.Text) + lineCost; len(lines) == substrateapi.LogLinesMax || size > substrateapi.LogSizeMax {
			break
		}
		lines = append(lines, l)
	}
	return lines, lost
}

// logs answers with what a function has said here.
func (s *Service) logs(_ context.Context, _ transport.Peer, req substrateapi.LogsRequest) (resp substrateapi.LogsResponse, err error) {
	if req.Branch == "" {
		req.Branch = s.settings.Branch
	}
	r := s.projects[s.nameOf(req.Project, req.Branch)]
	if r == nil {
		return resp, transport.New(transport.NotFound, "logs", "nothing is served of this branch of this project")
	}
	t := r.targets[req.Function]
	if t == nil || t.function == nil {
		return resp, transport.New(transport.NotFound, "logs", "the version that is served has no such function")
	}
	resp.Run = s.env.Incarnation
	if req.Run != resp.Run {
		req.After = 0
	}
	resp.Lines, resp.Lost = s.journal.page(t.name(), req.After)
	return resp, nil
}
