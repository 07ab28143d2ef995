package pebbledisk

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"
)

// complainEvery is how often a complaint of pebble's is passed on at most: it may try again without a pause.
const complainEvery = 10 * time.Second

// logger is what pebble tells.
type logger struct {
	disk *Disk
	log  *slog.Logger

	mu     sync.Mutex
	told   time.Time
	untold int // complaints since
}

// Infof implements pebble.Logger: of no interest.
func (l *logger) Infof(string, ...any) {}

// Errorf implements pebble.Logger: what pebble tries again.
func (l *logger) Errorf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.untold++; time.Since(l.told) < complainEvery {
		return
	}
	l.log.Warn("the disk complains, and tries again", slog.String("pebble", fmt.Sprintf(format, args...)), slog.Int("times", l.untold))
	l.told, l.untold = time.Now(), 0
}

// Fatalf implements pebble.Logger. It does not end the process: from here on nothing is written any more
// and every flush fails, so that the node ends as in a power cut and its next start believes what is on
// the disk. The first reason is kept.
func (l *logger) Fatalf(format string, args ...any) {
	fatal := &fatalError{text: fmt.Sprintf(format, args...)}
	for _, a := range args {
		if cause, is := a.(error); is {
			fatal.cause = cause
		}
	}
	err := error(fatal)
	l.disk.damaged(err)
	if l.disk.failure.CompareAndSwap(nil, &err) {
		l.log.Error("the disk has failed: nothing is written any more", slog.String("error", err.Error()), slog.String("remedy", remedyFor(err)))
	}
}

// remedyFor is what helps against an error after which nothing is written any more.
func remedyFor(err error) string {
	switch {
	case isDamage(err):
		return Remedy
	case errors.Is(err, syscall.EROFS):
		return ReadOnlyRemedy
	}
	return "the kernel's log (dmesg) says what is wrong with the hardware, or with what is below the file system; what was acknowledged is there at the next start, from this disk or from a copy of it"
}

// fatalError is what pebble has said, and why.
type fatalError struct {
	text  string
	cause error
}

func (e *fatalError) Error() string { return e.text }
func (e *fatalError) Unwrap() error { return e.cause }
