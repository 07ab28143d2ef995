package up

import (
	"context"
	"embed"
	"net/http"
	"slices"
	"strings"

	taulive "github.com/taucloud/tau/cmd/tau/live"
)

//go:embed assets
var assets embed.FS

// pages are what browsers get without a token, which is nothing of the universe.
var pages = map[string]string{"/": "text/html; charset=utf-8", "/page.js": "text/javascript; charset=utf-8", "/page.css": "text/css; charset=utf-8", "/page.svg": "image/svg+xml"}

// policy lets the page load what it is made of, ask its own universe, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func servePage(mux *http.ServeMux) {
	for path, kind := range pages {
		file := "assets" + path
		if path == "/" {
			path, file = "/{$}", "assets/index.html"
		}
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if !ownPage(r) {
				http.Error(w, "this page is for this machine: http://127.0.0.1 or http://localhost", http.StatusForbidden)
				return
			}
			raw, err := assets.ReadFile(file)
			if err != nil {
				http.NotFound(w, r)
				return
			}
			h := w.Header()
			h.Set("Content-Type", kind)
			h.Set("Content-Security-Policy", policy)
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("X-Frame-Options", "DENY")
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			h.Set("Cache-Control", "no-cache")
			_, _ = w.Write(raw)
		})
	}
}

// ownPage reports whether a request was made by this machine, and not by a page of elsewhere: neither by a name that leads here, nor
// across origins.
func ownPage(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return here127(r.Host) && (origin == "" || origin == "http://"+r.Host) && r.Header.Get("Sec-Fetch-Site") != "cross-site"
}

// Link is what has passed between two nodes, in both directions.
type Link struct {
	A     string `json:"a"`
	B     string `json:"b"`
	Bytes int64  `json:"bytes"`
}

func traffic(_ context.Context, u *Universe, _ nothing) ([]Link, error) {
	list := []Link{}
	for pair, bytes := range u.relay.Passed() {
		a, b := min(pair[0], pair[1]), max(pair[0], pair[1])
		i := slices.IndexFunc(list, func(l Link) bool { return l.A == a && l.B == b })
		if i < 0 {
			i, list = len(list), append(list, Link{A: a, B: b})
		}
		list[i].Bytes += bytes
	}
	slices.SortFunc(list, func(l, m Link) int { return strings.Compare(l.A+" "+l.B, m.A+" "+m.B) })
	return list, nil
}

type functionsIn struct {
	Project string `json:"project" in:"query"`
	Branch  string `json:"branch" in:"query"`
}

func functions(ctx context.Context, u *Universe, in functionsIn) (resp taulive.FunctionsResponse, err error) {
	if in.Project != "" {
		in.Branch = branchOr(in.Branch)
	}
	err = u.ask(ctx, []string{"patrick", "auth", "substrate"}, "functions", nil, taulive.FunctionsRequest{Project: in.Project, Branch: in.Branch}, &resp)
	return resp, err
}

func requests(_ context.Context, u *Universe, _ nothing) ([]Request, error) {
	if u.front == nil {
		return []Request{}, nil
	}
	return u.front.requests(), nil
}

func projectClaims(ctx context.Context, u *Universe, in branchIn) (c taulive.Claims, err error) {
	err = u.ask(ctx, []string{"tns"}, "claims", nil, taulive.BranchRequest{Project: in.Project, Branch: branchOr(in.Branch)}, &c)
	return c, err
}
