package dreamtest

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/taucloud/tau/cmd/dreamland/up"
	"github.com/taucloud/tau/services/substrate/substrateapi"
)

// live is a universe in this process.
type live struct {
	here  *up.Here
	began time.Time
}

func newLive(ctx context.Context, dir string) (world, error) {
	here, err := up.Begin(ctx, dir)
	if err != nil {
		return nil, err
	}
	return &live{here, time.Now()}, nil
}

func (l *live) nodes() []string { return l.here.Nodes() }

func (l *live) push(ctx context.Context, dir, project, branch string) (Pushed, error) {
	p, err := l.here.Push(ctx, dir, project, branch)
	return Pushed{Commit: p.Commit, Published: p.Published, Log: p.Log}, err
}

func (l *live) get(ctx context.Context, project, branch, path string) Response {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.here.HTTP()+path, nil)
	if err != nil {
		return Response{Err: err}
	}
	r.Host = project + ".localhost"
	if branch != production {
		r.Host = branch + "." + r.Host
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return Response{Err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, BodyLenMax))
	if err != nil {
		return Response{Err: err}
	}
	return Response{Status: resp.StatusCode, Version: resp.Header.Get(substrateapi.HeaderVersion), Body: string(body)}
}

func (l *live) kill(node string) error            { return l.here.Kill(node) }
func (l *live) start(node string) error           { return l.here.Start(node) }
func (l *live) partition(groups [][]string) error { return l.here.Partition(groups) }
func (l *live) heal() error                       { return l.here.Heal() }
func (l *live) wait(d time.Duration) error        { time.Sleep(d); return nil }
func (l *live) now() time.Duration                { return time.Since(l.began) }
func (l *live) close() error                      { return l.here.Close() }
