package live

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/cmd/tau/source"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/patrick"
	"github.com/taucloud/tau/services/patrick/refs"
)

// refsWithin bounds one question to a forge.
const refsWithin = 25 * time.Second

// forge asks real forges, by Git in a limited child process.
type forge struct {
	env node.Env
	git *source.Git
	err error // why there is no Git here
	// http reports statuses, which lead to pages below outside, "" for nowhere.
	http    *http.Client
	outside string
}

// newForge is that of a node.
func newForge(cfg Config) func(node.Env) patrick.Forge {
	scratch := filepath.Join(cfg.Paths.Builds, "forge")
	_ = os.RemoveAll(scratch) // what a node left that was killed: deploy keys among it, in memory
	source.Forget(scratch)
	return func(env node.Env) patrick.Forge { return forgeOf(env, cfg.Shape.PatrickURL, scratch) }
}

// forgeOf asks forges with a scratch directory that is nobody else's.
func forgeOf(env node.Env, outside, scratch string) *forge {
	git, err := source.FindGit(scratch)
	if err == nil {
		err = os.MkdirAll(scratch, 0o700)
	}
	if err == nil {
		git.Within, git.Files = refsWithin, true // names of branches only, of what those who run the cloud have told auth
	}
	return &forge{env, git, err, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, strings.TrimRight(outside, "/")}
}

// Refs implements patrick.Forge.
func (f *forge) Refs(ctx context.Context, r patrick.Remote) (list []refs.Seen, err error) {
	if f.err != nil {
		return nil, f.err
	}
	keys := r.Keys
	if len(keys) == 0 {
		keys = [][]byte{nil}
	}
	var all []source.Ref
	left := clock.Offload(ctx, f.env.Loop, func() {
		for _, key := range keys {
			within, cancel := context.WithTimeout(context.Background(), refsWithin)
			all, err = f.git.Refs(within, source.Request{URL: r.URL, Key: key, KnownHosts: r.KnownHosts})
			cancel()
			if err == nil {
				return
			}
		}
	})
	if err = errors.Join(left, err); err != nil {
		return nil, err
	}
	for _, one := range all {
		list = append(list, refs.Seen{Name: one.Name, Commit: one.Commit})
	}
	return list, nil
}

const (
	// requestsMax bounds the requests from outside that patrick's front door serves at once.
	requestsMax = 128
	// bodyTimeout bounds how long a request may take to come, answerTimeout how long it may take to come and be answered. Streams have times
	// of their own.
	bodyTimeout, answerTimeout = 30 * time.Second, time.Minute
)

// newFront serves patrick's front door at the address of the shape. A node whose port for that is taken does its work all the same.
func newFront(cfg Config) func(node.Env, http.Handler) (func(), error) {
	return func(_ node.Env, h http.Handler) (stop func(), err error) {
		address := cfg.Shape.PatrickListen
		if address == "" {
			return func() {}, nil
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			cfg.Log.Warn("no webhooks are taken: change patrick-listen, or stop who has the port", slog.String("address", address), slog.String("error", err.Error()))
			return func() {}, nil
		}
		server := &http.Server{Handler: apart(h), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = server.Serve(l)
		}()
		return func() { _ = server.Close(); <-ended }, nil
	}
}

// apart serves streams apart from the rest, so that who reads logs takes no room of webhooks and of other requests.
func apart(h http.Handler) http.Handler {
	streams, rest := atMost(patrick.StreamsMax, h), atMost(requestsMax, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if patrick.IsStream(r) {
			streams.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// atMost serves so many requests at once, and refuses others for now.
func atMost(most int, h http.Handler) http.Handler {
	slots := make(chan struct{}, most)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			h.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "5")
			http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		}
	})
}
