package monkey

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ipfs/go-cid"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/transport"
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
	// secrets are what no line holds, the longest first.
	secrets []string
}

func (s *Service) newLogbook(l *lock) *logbook { return &logbook{s: s, lock: l} }

// secretLenMin is the length from which a text is taken for a secret, in bytes: a shorter one would black out half of a log, and keeps
// nothing secret.
const secretLenMin = 4

// hide makes sure that no line shows a secret, nor a line of one.
func (b *logbook) hide(secrets map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		value := secrets[name]
		for _, text := range append(strings.Split(value, "\n"), value, strings.ReplaceAll(value, "\n", " ")) {
			if text = strings.TrimSpace(text); len(text) >= secretLenMin {
				b.secrets = append(b.secrets, text)
			}
		}
	}
	slices.SortFunc(b.secrets, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
}

// mask replaces all secrets in a text.
func (b *logbook) mask(text string) string {
	for _, secret := range b.secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// masked is an error without secrets in its text; it is as permanent as it was.
func (b *logbook) masked(err error) error {
	text := b.mask(err.Error())
	switch {
	case text == err.Error():
		return err
	case IsUserError(err):
		return UserError(text)
	}
	return transport.New(transport.KindOf(err), "monkey/build", text)
}

// line adds a line. When the log is full, the rest is dropped.
func (b *logbook) line(text string) {
	text = b.mask(text)
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
