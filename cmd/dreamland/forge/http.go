package forge

import (
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/taucloud/tau/transport"
)

// The two services of Git.
const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
)

// problem is an answer that is none.
type problem struct {
	status int
	text   string
}

func (p *problem) Error() string { return p.text }

func badPush(err error) error { return &problem{http.StatusBadRequest, "push: " + err.Error()} }

// ServeHTTP implements http.Handler: /UNIVERSE/PROJECT.git and what Git asks of it, or /UNIVERSE/PROJECT; without UNIVERSE to read, and to push
// where that is allowed.
func (f *Forge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := f.serve(w, r)
	if err == nil {
		return
	}
	status := http.StatusServiceUnavailable
	var p *problem
	if errors.As(err, &p) {
		status = p.status
	}
	f.cfg.Log.Info("refused", slog.String("method", r.Method), slog.String("path", plain(r.URL.Path[:min(len(r.URL.Path), 200)])), slog.Int("status", status), slog.String("why", err.Error()))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, plain(err.Error()))
}

func (f *Forge) serve(w http.ResponseWriter, r *http.Request) error {
	if !loopback(r.Host) || r.Header.Get("Origin") != "" {
		return &problem{http.StatusForbidden, "this forge is for this machine: http://127.0.0.1 or http://localhost, and not for web pages"}
	}
	universe, project, what, err := f.path(r.URL.Path)
	if err != nil {
		return err
	}
	service := r.URL.Query().Get("service")
	if push := what == receivePack || service == receivePack; universe != f.cfg.Universe && (universe != "" || push && !f.cfg.Unnamed()) {
		return f.elsewhere(r, universe, project)
	}
	if err := f.fits(project); err != nil && (what == receivePack || service == receivePack) {
		return &problem{http.StatusForbidden, err.Error()}
	}
	ctx, cancel := context.WithTimeout(r.Context(), waitMax)
	defer cancel()
	done, err := f.slot(ctx)
	if err != nil {
		return &problem{http.StatusServiceUnavailable, err.Error()}
	}
	release := once(done)
	defer release()
	switch {
	case r.Method == http.MethodGet && what == "info/refs" && (service == uploadPack || service == receivePack):
		return f.advertise(w, r, project, service)
	case r.Method == http.MethodPost && (what == uploadPack || what == receivePack):
		if r.Header.Get("Content-Type") != "application/x-"+what+"-request" {
			return &problem{http.StatusUnsupportedMediaType, "expected a request of Git"}
		}
		return f.exchange(w, r, project, what, release)
	}
	return &problem{http.StatusNotFound, "there is no such page: git clone and git push know " + r.Host + "/" + f.cfg.Universe + "/PROJECT.git"}
}

// fits says why a project that is not there yet cannot be beside the others.
func (f *Forge) fits(project string) error {
	if _, there := f.dir(project); there || f.cfg.Fits == nil {
		return nil
	}
	return f.cfg.Fits(project, f.Projects())
}

// elsewhere refuses what is meant for another universe, or says of none for which it is.
func (f *Forge) elsewhere(r *http.Request, universe, project string) error {
	here := fmt.Sprintf("this is universe %s", f.cfg.Universe)
	hint := fmt.Sprintf("if that is meant: git remote set-url dreamland http://%s/%s/%s.git", r.Host, f.cfg.Universe, project)
	if universe == "" {
		return &problem{http.StatusForbidden, here + ", and the remote does not say which it is for: " + hint}
	}
	return &problem{http.StatusForbidden, fmt.Sprintf("%s, not %.64s: dreamland status -u %[2]s says where that is; %s", here, universe, hint)}
}

// path is the universe and the project of a path, and what is asked of it. A remote of old has no universe, "".
func (f *Forge) path(path string) (universe, project, what string, err error) {
	project, what, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if asked := what == "info/refs" || what == uploadPack || what == receivePack; what != "" && !asked && !strings.HasSuffix(project, ".git") {
		universe = project
		project, what, _ = strings.Cut(what, "/")
	}
	project = strings.TrimSuffix(project, ".git")
	for _, name := range []string{project, cmp.Or(universe, project)} {
		if wrong := f.cfg.Check(name); wrong != nil {
			text := wrong.Error()
			var e *transport.Error
			if errors.As(wrong, &e) {
				text = e.Text // which service says so is nothing to who pushes
			}
			return "", "", "", &problem{http.StatusNotFound, text}
		}
	}
	return universe, project, what, nil
}

// loopback reports whether a host is this machine by a name that no web page of elsewhere can have.
func loopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || net.ParseIP(strings.Trim(name, "[]")).IsLoopback()
}

// once calls f at the first call.
func once(f func()) func() {
	called := false
	return func() {
		if !called {
			called = true
			f()
		}
	}
}

// reads reports where to read a repository, which stands for one that is not made yet if it is to be pushed to.
func (f *Forge) reads(project string, push bool) (string, error) {
	dir, there := f.dir(project)
	switch {
	case there:
		return dir, nil
	case push:
		return f.cfg.Dir + "/" + emptyName, nil
	}
	return "", &problem{http.StatusNotFound, "there is no repository " + project + ": the first push makes it"}
}

// advertise says which refs there are.
func (f *Forge) advertise(w http.ResponseWriter, r *http.Request, project, service string) error {
	dir, err := f.reads(project, service == receivePack)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), waitMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.program, strings.TrimPrefix(service, "git-"), "--stateless-rpc", "--http-backend-info-refs", dir)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(f.environment(), protocolOf(r)...), 2*time.Second
	if service == receivePack {
		cmd.Env = append(cmd.Env, keepsOnly()...)
	}
	var out, complaint bounded
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("git %s: %w: %.300s", service, err, complaint.String())
	}
	answers(w, service, "advertisement")
	if !strings.Contains(r.Header.Get("Git-Protocol"), "version=2") || service == receivePack {
		line := "# service=" + service + "\n"
		fmt.Fprintf(w, "%04x%s%s", len(line)+4, line, flushPkt)
	}
	_, _ = w.Write(out.Bytes())
	return nil
}

func answers(w http.ResponseWriter, service, kind string) {
	w.Header().Set("Content-Type", "application/x-"+service+"-"+kind)
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
}

var protocolForm = regexp.MustCompile(`^[a-z0-9=:.-]{1,64}$`)

// protocolOf is what the client says of the protocol, for git's environment.
func protocolOf(r *http.Request) []string {
	if p := r.Header.Get("Git-Protocol"); protocolForm.MatchString(p) {
		return []string{"GIT_PROTOCOL=" + p}
	}
	return nil
}

// exchange carries out a fetch or a push. release gives the slot back: a push that waits for its build holds none.
func (f *Forge) exchange(w http.ResponseWriter, r *http.Request, project, service string, release func()) error {
	body, err := bodyOf(w, r)
	if err != nil {
		return err
	}
	if service == receivePack {
		answers(w, service, "result")
		return f.receive(w, r, project, body, release)
	}
	dir, err := f.reads(project, false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), pushWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.program, "upload-pack", "--stateless-rpc", dir)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(f.environment(), protocolOf(r)...), 2*time.Second
	answers(w, service, "result")
	cmd.Stdin, cmd.Stdout = io.LimitReader(body, 4<<20), w
	if err := cmd.Run(); err != nil {
		f.cfg.Log.Info("git upload-pack", slog.String("project", project), slog.String("error", err.Error()))
	}
	return nil
}

// bodyOf is what the client sends, of at most PushLenMax bytes, packed or not.
func bodyOf(w http.ResponseWriter, r *http.Request) (io.Reader, error) {
	if r.ContentLength > PushLenMax {
		return nil, &problem{http.StatusRequestEntityTooLarge, fmt.Sprintf("a push of more than %d MiB is not taken", PushLenMax>>20)}
	}
	body := io.Reader(http.MaxBytesReader(w, r.Body, PushLenMax))
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, badPush(err)
		}
		return io.LimitReader(unpacked, PushLenMax), nil
	}
	return nil, &problem{http.StatusUnsupportedMediaType, "expected a body as it is, or gzip"}
}
