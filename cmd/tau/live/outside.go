package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/taucloud/tau/clock"
)

// healthTimeout bounds how long the node's own loop may take to have a turn.
const healthTimeout = 5 * time.Second

// outside are the pages for monitoring, which change nothing: /metrics, /healthz, /readyz and, on the socket, profiles.
func (r *running) outside(mux *http.ServeMux, profiles bool) {
	mux.Handle("GET /metrics", promhttp.HandlerFor(newRegistry(r), promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, hr *http.Request) { answer(w, r.unhealthy(hr.Context())) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, hr *http.Request) { answer(w, r.unready(hr.Context())) })
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	}
}

// answer is 200 without reasons, 503 with them, a line each.
func answer(w http.ResponseWriter, why []string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if len(why) == 0 {
		fmt.Fprintln(w, "ok")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	for _, line := range why {
		fmt.Fprintln(w, line)
	}
}

// unhealthy says why the process should be started anew: its own loop does not turn, or its disk has failed. A node
// that starts, or waits for room or for the cloud, is healthy.
func (r *running) unhealthy(ctx context.Context) (why []string) {
	r.mu.Lock()
	disk := r.disk
	r.mu.Unlock()
	if disk != nil && disk.Stats().Failed {
		why = append(why, "disk: it has failed")
	}
	if r.started() == nil {
		return why
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if err := clock.Do(ctx, r.main, func(context.Context) {}); err != nil {
		why = append(why, "node: its loop has had no turn: "+err.Error())
	}
	return why
}

// unready says which part is not ready, and why.
func (r *running) unready(ctx context.Context) []string {
	n := r.started()
	if n == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		return []string{"node: " + r.doing}
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	var why []string
	if err := clock.Do(ctx, r.main, func(ctx context.Context) { why = n.NotReady(ctx) }); err != nil {
		why = append(why, "node: its loop has had no turn: "+err.Error())
	}
	return append(why, r.estranged()...)
}

// openOutside serves those pages at an address for as long as the node runs. A node whose port for that is taken does its
// work all the same.
func (r *running) openOutside(address string) (shut func()) {
	if address == "" {
		return func() {}
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		r.cfg.Log.Warn("no metrics are served: change metrics-listen, or stop who has the port", slog.String("address", address), slog.String("error", err.Error()))
		return func() {}
	}
	if host, _, _ := net.SplitHostPort(address); !net.ParseIP(host).IsLoopback() {
		r.cfg.Log.Warn("metrics are served to whoever reaches this address: nobody proves anything there", slog.String("address", address))
	}
	mux := http.NewServeMux()
	r.outside(mux, net.ParseIP(hostOf(address)).IsLoopback())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			r.cfg.Log.Warn("no metrics are served any more", slog.String("error", err.Error()))
		}
	}()
	return func() { _ = server.Close(); <-ended }
}

func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address)
	return host
}
