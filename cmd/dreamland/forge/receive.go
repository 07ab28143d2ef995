package forge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// reportLenMax bounds what git says of the refs of a push, in bytes.
const reportLenMax = 256 << 10

// receive takes a push: it hands it to git, tells of what has moved, and lets the client read how that goes. What has moved is told also
// if the client is gone by then.
func (f *Forge) receive(w http.ResponseWriter, r *http.Request, project string, body io.Reader, release func()) error {
	said, err := readCommands(body)
	if err != nil {
		return badPush(err)
	}
	if len(said.list) == 0 {
		return nil // a client that asks whether it may push, before it sends much
	}
	if said.refused != "" {
		if !said.sideband || !said.report {
			return badPush(errors.New(said.refused))
		}
		_, _ = io.Copy(io.Discard, body) // HTTP/1 has the answer after it; what is not whole, git knows
		_, err := io.WriteString(w, said.refusal())
		return err
	}
	dir, err := f.make(project)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(f.ctx, pushWithin)
	defer cancel()
	out := &client{w: w, held: true}
	moved, err := f.receivePack(ctx, r, dir, said, body, out)
	if err != nil {
		return err
	}
	release()
	if said.sideband {
		for _, c := range said.list {
			if !pushable(c.ref) {
				out.send(progress(plain(c.ref + " is not taken: branches and tags are")))
			}
		}
	}
	f.follow(r.Context(), project, dir, moved, said.sideband, out)
	if said.sideband {
		out.send(flushPkt)
	}
	return nil
}

// client is who has pushed. What cannot be written to him, he does not read. Nothing is written before all is read that he sends: HTTP/1
// has it one after the other.
type client struct {
	w    http.ResponseWriter
	mu   sync.Mutex
	held bool
	kept strings.Builder
	gone bool
}

// keptLenMax bounds what is kept for later, in bytes.
const keptLenMax = 1 << 20

// free lets what was kept be written, and what comes.
func (c *client) free() {
	c.mu.Lock()
	c.held = false
	text := c.kept.String()
	c.kept.Reset()
	c.mu.Unlock()
	c.send(text)
}

func (c *client) send(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.held && c.kept.Len()+len(text) <= keptLenMax:
		c.kept.WriteString(text)
		return
	case c.gone, c.held, text == "":
		return
	}
	control := http.NewResponseController(c.w)
	_ = control.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err := io.WriteString(c.w, text)
	c.gone = errors.Join(err, control.Flush()) != nil
}

// receivePack runs git, passes on what it says but for the end, and returns which commands it has carried out.
func (f *Forge) receivePack(ctx context.Context, r *http.Request, dir string, said commands, body io.Reader, out *client) (moved []command, err error) {
	cmd := exec.CommandContext(ctx, f.program, "receive-pack", "--stateless-rpc", dir)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, slices.Concat(f.environment(), keepsOnly(), protocolOf(r)), 5*time.Second
	var complaint bounded
	cmd.Stderr = &complaint
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		_, _ = io.Copy(in, io.MultiReader(bytes.NewReader(said.raw), body)) // git knows whether it has got all
		_ = in.Close()
		out.free()
	}()
	report, broken := f.pass(pipe, said.sideband, out)
	_, _ = io.Copy(io.Discard, pipe)
	ended := cmd.Wait()
	select {
	case <-fed:
	default: // git is gone, and what the client still sends is for nobody
		_ = http.NewResponseController(out.w).SetReadDeadline(time.Now())
		<-fed
	}
	if ended != nil || broken != nil {
		f.cfg.Log.Warn("git receive-pack", slog.String("repository", dir), slog.Any("error", errors.Join(ended, broken)), slog.String("said", complaint.String()))
	}
	return f.carriedOut(context.WithoutCancel(ctx), dir, said.list, report), nil
}

// pass reads what git says. With a sideband all but its last flush is passed on, so that more can follow.
func (f *Forge) pass(from io.Reader, sideband bool, out *client) (report []byte, err error) {
	buffer := make([]byte, pktLenMax)
	for {
		pkt, flush, err := readPkt(from, buffer)
		switch {
		case errors.Is(err, io.EOF):
			return report, nil
		case err != nil:
			return report, err
		case !sideband:
			if !flush {
				report = append(report, pkt...)
			}
		case !flush && len(pkt) > 5 && pkt[4] == bandData:
			report = append(report, pkt[5:]...)
		}
		if !flush || !sideband {
			out.send(string(pkt))
		}
		if len(report) > reportLenMax {
			return report[:0], errPkt
		}
	}
}

// carriedOut are the commands that git reports as done, or, without a report, those whose refs are where they were to be.
func (f *Forge) carriedOut(ctx context.Context, dir string, list []command, report []byte) (done []command) {
	ok := map[string]bool{}
	buffer := make([]byte, pktLenMax)
	for lines := bytes.NewReader(report); ; {
		pkt, _, err := readPkt(lines, buffer)
		if err != nil {
			break
		}
		if ref, is := strings.CutPrefix(strings.TrimSuffix(string(pkt[4:]), "\n"), "ok "); is {
			ok[ref] = true
		}
	}
	for _, c := range list {
		if ok[c.ref] || len(report) == 0 && f.at(ctx, dir, c.ref) == c.new {
			done = append(done, c)
		}
	}
	return done
}

// at is the commit at which a ref is, "" if there is none.
func (f *Forge) at(ctx context.Context, dir, ref string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := f.git(ctx, dir, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	if text := strings.TrimSpace(out); err == nil && commitForm.MatchString(text) {
		return text
	}
	return ""
}

// follow has what has moved delivered, and tells the client how it goes until it has ended, or the client is gone.
func (f *Forge) follow(ctx context.Context, project, dir string, moved []command, listens bool, out *client) {
	ctx, cancel := context.WithTimeout(ctx, followWithin)
	defer cancel()
	say := func(line string) {
		if listens {
			out.send(progress(plain(line)))
		}
	}
	var all sync.WaitGroup
	for _, c := range moved {
		name, is := buildable(c.ref)
		switch {
		case !is && c.deletes():
			say("tag " + strings.TrimPrefix(c.ref, tags) + " is gone; nothing was built of it")
		case !is:
			say("tag " + strings.TrimPrefix(c.ref, tags) + " is kept; nothing is built of tags: push a branch")
		case c.deletes():
			say("branch " + name + " is gone, and with it what was published of it")
			f.forget(dir, c.ref)
			f.begin(func() { f.cfg.Deliver.Gone(f.ctx, project, name, c.old) })
		default:
			prefix := ""
			if len(moved) > 1 {
				prefix = name + ": "
			}
			watch := f.deliver(project, dir, c.ref)
			all.Go(func() { watch(ctx, func(line string) { say(prefix + line) }) })
		}
	}
	if !listens {
		return
	}
	all.Wait()
}
