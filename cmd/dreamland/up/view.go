package up

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// view is what people see of a universe that runs in the foreground: a picture of its nodes on a terminal, lines elsewhere.
type view struct {
	out  io.Writer
	json bool
	size func() (columns, rows int, terminal bool)

	mu     sync.Mutex
	told   bool // it is ready, and its nodes may be spoken of
	events []event
}

// eventsMax is how many of the last events are shown.
const eventsMax = 6

func newView(out io.Writer, json bool) *view {
	v := &view{out: out, json: json, size: func() (int, int, bool) { return 0, 0, false }}
	if size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 && !json {
		v.size = func() (int, int, bool) {
			size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ)
			return int(size.Col), int(size.Row), err == nil
		}
	}
	return v
}

// hear takes what happens.
func (v *view) hear(e event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.events = append(v.events, e)
	v.events = v.events[max(0, len(v.events)-eventsMax):]
	_, _, terminal := v.size()
	switch {
	case !v.told:
	case v.json:
		_ = json.NewEncoder(v.out).Encode(e)
	case !terminal:
		fmt.Fprintln(v.out, line(e))
	}
}

func line(e event) string {
	text := fmt.Sprintf("%s  %s is %s", e.At.Format(time.TimeOnly), e.Node, e.State)
	if e.Why != "" {
		text += ": " + e.Why
	}
	return text
}

// ready says that the universe is.
func (v *view) ready(u *Universe, after time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.told, v.events = true, nil
	if v.json {
		_ = json.NewEncoder(v.out).Encode(u.says(true))
		return
	}
	tellReady(v.out, u.says(true))
	fmt.Fprintf(v.out, "  ready after %s\n", after.Round(time.Millisecond))
}

// watch shows the universe until it is to end.
func (v *view) watch(ctx context.Context, u *Universe) {
	shown := ""
	for {
		columns, rows, terminal := v.size()
		if terminal {
			if text := v.picture(ctx, u, columns, rows); text != shown {
				_, _ = io.WriteString(os.Stdout, "\x1b[H\x1b[2J"+text)
				shown = text
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-u.over:
			return
		case <-time.After(time.Second):
		}
	}
}

// ending says so.
func (v *view) ending() {
	if !v.json {
		fmt.Fprintln(v.out, "ending: the nodes stop in order")
	}
}

// picture is what a terminal of this size shows.
func (v *view) picture(ctx context.Context, u *Universe, columns, rows int) string {
	s, err := status(ctx, u, nothing{})
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	tellReady(&b, s.Running)
	fmt.Fprintln(&b)
	writeNodes(&b, s)
	if jobs, err := builds(ctx, u, buildsIn{}); err == nil && len(jobs) > 0 {
		fmt.Fprintln(&b)
		writeBuilds(&b, jobs[:min(len(jobs), 5)])
	}
	v.mu.Lock()
	for i, e := range v.events {
		if i == 0 {
			fmt.Fprintln(&b)
		}
		fmt.Fprintln(&b, line(e))
	}
	v.mu.Unlock()
	fmt.Fprint(&b, "\nCtrl-C ends it; dreamland down does, too")
	return cut(b.String(), columns, rows)
}

// cut keeps a text within a window.
func cut(text string, columns, rows int) string {
	all := strings.Split(text, "\n")
	all = all[:min(len(all), max(rows, 1))]
	for i, l := range all {
		if utf8.RuneCountInString(l) > columns {
			all[i] = string([]rune(l)[:columns])
		}
	}
	return strings.Join(all, "\n")
}
