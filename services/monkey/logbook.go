package monkey

import (
	"context"
	"strings"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// logLenMax bounds the log of one attempt, in bytes.
const logLenMax = 256 << 10

// logbook collects the log of one attempt and streams it.
type logbook struct {
	s     *Service
	lock  *lock
	lines []string
	size  int
	sent  int // lines
}

func (s *Service) newLogbook(l *lock) *logbook { return &logbook{s: s, lock: l} }

// line adds a line. When the log is full, the rest is dropped.
func (b *logbook) line(text string) {
	text = strings.ReplaceAll(text, "\n", " ")
	text = text[:min(len(text), patrickapi.LogLineLenMax)]
	if b.size += len(text) + 1; b.size > logLenMax {
		return
	}
	b.lines = append(b.lines, text)
	if len(b.lines)-b.sent >= logFlushLen {
		b.flush()
	}
}

// logFlushLen is how many lines travel together.
const logFlushLen = 4

// flush streams the lines that were not sent yet.
func (b *logbook) flush() {
	for b.sent < len(b.lines) {
		chunk := b.lines[b.sent:min(len(b.lines), b.sent+patrickapi.LogLinesMax)]
		b.s.patrick.SendLog(patrickapi.LogNote{Job: b.lock.job.ID, Token: b.lock.token, First: b.sent, Lines: chunk})
		b.sent += len(chunk)
	}
}

// store stores the whole log as a block, for patrick to fetch. A failure to store it does not fail
// the job.
func (b *logbook) store(ctx context.Context) (root cid.Cid, size int64) {
	text := strings.Join(b.lines, "\n") + "\n"
	root, err := b.s.add(ctx, b.lock, []byte(text))
	if err != nil {
		b.s.env.Log.Warn("cannot store a log", "job", b.lock.job.ID, "err", err)
		return cid.Undef, 0
	}
	return root, int64(len(text))
}
