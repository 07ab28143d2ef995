package services_test

import (
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/gateway/gatewayapi"
	"github.com/taucloud/tau/services/hoarder"
	"github.com/taucloud/tau/services/hoarder/hoarderapi"
	"github.com/taucloud/tau/services/substrate"
	"github.com/taucloud/tau/services/substrate/substrateapi"
	"github.com/taucloud/tau/services/tns"
	"github.com/taucloud/tau/services/tns/tnsapi"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/httpstream"
)

// stage is a substrate with what it stands on, and a caller who publishes and asks.
type stage struct {
	*nodetest.Cloud
	tns, store, substrate *nodetest.Machine
	user                  *nodetest.Caller
	orders                map[string]uint64
	change                func(*build.Asset)
	through               *nodetest.Machine // a gateway
	branch                string            // what is published is of it, "" for main
	secrets               []string          // that its functions name
}

func onStage(t *testing.T, change func(s *substrate.Settings), f func(s *stage)) {
	settings := substrate.DefaultSettings()
	if change != nil {
		change(settings)
	}
	nodetest.Run(t, func(c *nodetest.Cloud) {
		s := &stage{Cloud: c, orders: map[string]uint64{}}
		s.tns = c.Add("tns", node.Configured{Spec: tns.Spec(), Settings: tns.DefaultSettings()}).Start()
		s.store = c.Add("store", node.Configured{Spec: hoarder.Spec(), Settings: hoarder.DefaultSettings()}).Start()
		s.substrate = c.Add("substrate", node.Configured{Spec: substrate.Spec(nil), Settings: settings}).Start()
		s.user = c.Caller("user", "monkey", "gateway")
		nodetest.Sleep(5 * time.Second)
		f(s)
	})
}

// website is a project with one website, at these hosts.
func website(name string, spa bool, hosts ...string) *project.Project {
	p := &project.Project{Name: name}
	w := project.Website{Base: project.Base{Name: "site"}, Paths: []string{"/"}, SPA: spa}
	for i, host := range hosts {
		d := project.Domain{Base: project.Base{Name: fmt.Sprintf("d%d", i)}, FQDN: host}
		p.Domains, w.Domains = append(p.Domains, d), append(w.Domains, d.Name)
	}
	p.Websites = []project.Website{w}
	return p
}

// publish publishes a version of a project as a builder does, and waits until it is served.
func (s *stage) publish(p *project.Project, commit string, files map[string]string) {
	s.publishWith(p, commit, files, true)
	nodetest.Sleep(3 * time.Second)
}

func (s *stage) publishWith(p *project.Project, commit string, files map[string]string, pin bool) {
	bundle := build.NewBundle()
	if files != nil {
		var list []build.File
		for _, name := range slices.Sorted(maps.Keys(files)) {
			list = append(list, build.File{Path: "websites/site/" + name, Data: []byte(files[name])})
		}
		fsys, err := build.FS(list)
		require.NoError(s, err)
		step := build.Step{Toolchain: build.Static, Folder: "websites/site", Targets: []string{"websites/site"}}
		asset, done, err := build.Make(step, fsys)
		require.NoError(s, err)
		require.True(s, done)
		require.NoError(s, bundle.Add(step, "", asset))
	}
	s.publishBundle(p, commit, bundle, pin)
}

// publishBundle publishes a project with its assets.
func (s *stage) publishBundle(p *project.Project, commit string, bundle *build.Bundle, pin bool) {
	branch := cmp.Or(s.branch, "main")
	compiled, err := project.Compile(p, project.Options{Project: p.Name, Preview: s.branch})
	require.NoError(s, err)
	entries := compiled.Entries
	for path, value := range bundle.Entries() {
		if s.change != nil {
			a, err := build.DecodeAsset([]byte(value))
			require.NoError(s, err)
			s.change(&a)
			value = string(build.Encode(a))
		}
		entries = append(entries, project.Entry{Path: path, Value: []byte(value)})
	}
	s.user.Do(func(ctx context.Context) {
		root, err := s.user.Env.Blocks.Add(ctx, bundle.Content())
		require.NoError(s, err)
		if pin {
			_, err = hoarderapi.NewClient(s.user.Env.Wire).Pin(ctx, hoarderapi.PinRequest{Root: root.String(), Kind: hoarderapi.Asset, Target: 1, Owner: "test", Holders: []transport.Peer{s.user.Env.Self}})
			require.NoError(s, err)
		}
		s.orders[p.Name]++
		req := tnsapi.PublishRequest{Project: p.Name, Branch: branch, Commit: commit, Job: commit, Order: s.orders[p.Name], Token: fencing.Token{Attempt: 1, Holder: s.user.Env.Self}, Artifact: root.String()}
		for _, e := range entries {
			req.Entries = append(req.Entries, tnsapi.Entry{Path: e.Path, Value: e.Value})
		}
		_, err = tnsapi.NewClient(s.user.Env.Wire).Publish(ctx, req)
		require.NoError(s, err)
	})
}

// answer is what a request came to.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

// ask sends a request to the substrate; fields are pairs of a header.
func (s *stage) ask(method, url string, fields ...string) (a answer) {
	s.user.Do(func(ctx context.Context) { a = s.askIn(ctx, method, url, fields...) })
	return a
}

func (s *stage) askIn(ctx context.Context, method, url string, fields ...string) (a answer) {
	r, err := http.NewRequest(method, url, nil)
	require.NoError(s, err)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	to, name := s.substrate.Peer(), substrateapi.HTTP.Name
	if s.through != nil {
		to, name = s.through.Peer(), gatewayapi.HTTP.Name
	}
	response, err := httpstream.Do(ctx, s.user.Env.Wire, to, name, r)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body), err}
}

func (a answer) String() string { return strings.TrimSpace(fmt.Sprint(a.status, " ", a.body)) }

var pages = map[string]string{"index.html": "<h1>one</h1>", "style.css": "css", "docs/index.html": "docs", "404.html": "lost", "_headers": "/style.css\n  Cache-Control: max-age=9\n", "text.txt": strings.Repeat("all work and no play ", 200), "big.bin": strings.Repeat("0123456789", 300_000)}

// TestAWebsiteIsServed: the files of the current version, with what browsers rely on.
func TestAWebsiteIsServed(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		s.publish(website("hello", false, "www.example.com"), "c1", pages)
		a := s.ask("GET", "http://www.example.com/")
		require.Equal(t, "200 <h1>one</h1>", a.String())
		require.Equal(t, "c1", a.header.Get(substrateapi.HeaderVersion))
		require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"))
		require.Equal(t, "public, max-age=0, must-revalidate", a.header.Get("Cache-Control"))
		require.Equal(t, "1", a.header.Get(substrateapi.HeaderCold))
		require.NotEmpty(t, a.header.Get("Etag"))
		require.Empty(t, s.ask("GET", "http://www.example.com/").header.Get(substrateapi.HeaderCold))

		require.Equal(t, "200 <h1>one</h1>", s.ask("GET", "http://WWW.example.com.:8080/index.html").String())
		require.Equal(t, "304", s.ask("GET", "http://www.example.com/", "If-None-Match", a.header.Get("Etag")).String())
		require.Equal(t, "412", s.ask("GET", "http://www.example.com/", "If-Match", `"other"`).String())
		require.Equal(t, "206 one", s.ask("GET", "http://www.example.com/", "Range", "bytes=4-6").String())
		require.Equal(t, "200 <h1>one</h1>", s.ask("GET", "http://www.example.com/", "Range", "bytes=4-6", "If-Range", `"other"`).String())
		require.Equal(t, "200 <h1>one</h1>", s.ask("GET", "http://www.example.com/", "Range", "bytes=0-1,4-6").String())
		for field, want := range map[string]string{"bytes=100-": "416", "bytes=-0": "416", "bytes=-3": "206", "items=0-1": "200", "bytes=3-1": "200", "bytes=a": "200"} {
			require.Equal(t, want, fmt.Sprint(s.ask("GET", "http://www.example.com/", "Range", field).status), field)
		}
		require.Equal(t, 200, s.ask("HEAD", "http://www.example.com/", "Range", "bytes=0-1").status, "ranges are of GET")
		require.Equal(t, "bytes */12", s.ask("GET", "http://www.example.com/", "Range", "bytes=-0").header.Get("Content-Range"))
		head := s.ask("HEAD", "http://www.example.com/")
		require.Equal(t, "200", head.String())
		require.Equal(t, "12", head.header.Get("Content-Length"))
		require.Equal(t, "301", s.ask("GET", "http://www.example.com/docs").String())
		require.Equal(t, "/docs/?a=b", s.ask("GET", "http://www.example.com/docs?a=b").header.Get("Location"))
		require.Equal(t, "404 lost", s.ask("GET", "http://www.example.com/none").String())
		style := s.ask("GET", "http://www.example.com/style.css")
		require.Equal(t, "max-age=9", style.header.Get("Cache-Control"))
		require.Equal(t, "text/css; charset=utf-8", style.header.Get("Content-Type"), "of its name, whatever its bytes look like")
		text := s.ask("GET", "http://www.example.com/text.txt", "Accept-Encoding", "gzip")
		require.Equal(t, "gzip", text.header.Get("Content-Encoding"))
		require.Equal(t, "Accept-Encoding", text.header.Get("Vary"))
		require.Equal(t, "text/plain; charset=utf-8", text.header.Get("Content-Type"))
		unpacked, err := gzip.NewReader(strings.NewReader(text.body))
		require.NoError(t, err)
		all, err := io.ReadAll(unpacked)
		require.NoError(t, err)
		require.Equal(t, pages["text.txt"], string(all))
		packed := s.ask("GET", "http://www.example.com/text.txt", "Accept-Encoding", "gzip;q=0.8, br")
		require.Equal(t, "br", packed.header.Get("Content-Encoding"))
		all, err = io.ReadAll(brotli.NewReader(strings.NewReader(packed.body)))
		require.NoError(t, err)
		require.Equal(t, pages["text.txt"], string(all))
		require.NotEqual(t, packed.header.Get("Etag"), text.header.Get("Etag"))
		require.Equal(t, packed.body[:3], s.ask("GET", "http://www.example.com/text.txt", "Accept-Encoding", "br", "Range", "bytes=0-2", "If-Range", packed.header.Get("Etag")).body)
		require.Equal(t, 200, s.ask("GET", "http://www.example.com/text.txt", "Accept-Encoding", "gzip", "Range", "bytes=0-2", "If-Range", packed.header.Get("Etag")).status, "it is of other bytes")
		require.Equal(t, 406, s.ask("GET", "http://www.example.com/style.css", "Accept-Encoding", "identity;q=0").status)
		plain := s.ask("GET", "http://www.example.com/text.txt", "Accept-Encoding", "gzip;q=0")
		require.Equal(t, pages["text.txt"], plain.body)
		require.Equal(t, "Accept-Encoding", plain.header.Get("Vary"))
		require.NotEqual(t, plain.header.Get("Etag"), text.header.Get("Etag"), "other bytes, another tag")
		require.Equal(t, 304, s.ask("GET", "http://www.example.com/text.txt", "Accept-Encoding", "gzip", "If-None-Match", text.header.Get("Etag")).status)
		require.Equal(t, 404, s.ask("GET", "http://www.example.com/text.txt.gz").status, "it is no file of the website")
		require.Empty(t, s.ask("GET", "http://www.example.com/big.bin", "Accept-Encoding", "gzip").header.Get("Content-Encoding"))
		require.Equal(t, pages["big.bin"], s.ask("GET", "http://www.example.com/big.bin").body)
		post := s.ask("POST", "http://www.example.com/")
		require.Equal(t, 405, post.status)
		require.Equal(t, "GET, HEAD", post.header.Get("Allow"))
		require.Equal(t, 404, s.ask("GET", "http://other.example.com/").status)
	})
}

// TestANewVersionTakesOver: all at once, and with the files of nobody else; a rollback does, too.
func TestANewVersionTakesOver(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		p := website("hello", true, "www.example.com")
		s.publish(p, "c1", pages)
		first := s.ask("GET", "http://www.example.com/style.css")
		s.publish(p, "c2", map[string]string{"index.html": "two", "style.css": "css"})
		require.Equal(t, "200 two", s.ask("GET", "http://www.example.com/").String())
		require.Equal(t, "200 two", s.ask("GET", "http://www.example.com/docs/").String(), "a file that is there no more")
		again := s.ask("GET", "http://www.example.com/style.css")
		require.Equal(t, "c2", again.header.Get(substrateapi.HeaderVersion))
		require.Equal(t, first.header.Get("Etag"), again.header.Get("Etag"), "a file that stays as it was keeps its tag")
		s.user.Do(func(ctx context.Context) {
			_, err := tnsapi.NewClient(s.user.Env.Wire).Rollback(ctx, "hello", "main", "c1")
			require.NoError(t, err)
		})
		nodetest.Sleep(3 * time.Second)
		require.Equal(t, "200 <h1>one</h1>", s.ask("GET", "http://www.example.com/").String())
		require.Len(t, s.Facts("version-served"), 3)

		s.publish(website("hello", true, "new.example.com"), "c3", map[string]string{"index.html": "three"})
		require.Equal(t, 404, s.ask("GET", "http://www.example.com/").status, "what is not claimed any more")
		require.Equal(t, "200 three", s.ask("GET", "http://new.example.com/").String())
	})
}

// TestABranchIsServedBesideProduction: at a host of its own, whichever is published first, and what one publishes takes nothing from the other.
func TestABranchIsServedBesideProduction(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		p := website("hello", false, "www.example.com")
		preview, err := project.Compile(p, project.Options{Project: "hello", Preview: "feature/a"})
		require.NoError(t, err)
		at := "http://" + preview.Claims[0].Host + "/"
		require.NotContains(t, at, "example.com")
		s.branch = "feature/a"
		s.publish(p, "f1", map[string]string{"index.html": "a feature"})
		require.Equal(t, "200 a feature", s.ask("GET", at).String())
		require.Equal(t, 404, s.ask("GET", "http://www.example.com/").status)
		s.branch = ""
		s.publish(p, "c1", pages)
		require.Equal(t, "200 <h1>one</h1>", s.ask("GET", "http://www.example.com/").String())
		s.branch = "feature/a"
		s.publish(p, "f2", map[string]string{"index.html": "more"})
		a := s.ask("GET", at)
		require.Equal(t, "200 more", a.String())
		require.Equal(t, "f2", a.header.Get(substrateapi.HeaderVersion))
		require.Equal(t, "200 <h1>one</h1>", s.ask("GET", "http://www.example.com/").String())
	})
}

// TestTheOldVersionServesUntilTheNewOneCan: what cannot be fetched yet takes nothing away.
func TestTheOldVersionServesUntilTheNewOneCan(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		p := website("hello", false, "www.example.com")
		s.publish(p, "c1", pages)
		require.Equal(t, 200, s.ask("GET", "http://www.example.com/").status)
		s.publishWith(p, "c2", map[string]string{"index.html": "two"}, false)
		nodetest.Sleep(30 * time.Second)
		require.Equal(t, "c1", s.ask("GET", "http://www.example.com/").header.Get(substrateapi.HeaderVersion))
		s.publish(p, "c3", map[string]string{"index.html": "three"})
		require.Equal(t, "200 three", s.ask("GET", "http://www.example.com/").String())
	})
}

// TestManyColdRequestsFetchOnce: and nobody waits for longer than that takes.
func TestManyColdRequestsFetchOnce(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		s.publish(website("hello", false, "www.example.com"), "c1", pages)
		done := 0
		for range 64 {
			s.user.Env.Loop.Go("ask", func(ctx context.Context) {
				if a := s.askIn(ctx, "GET", "http://www.example.com/"); a.status == 200 {
					done++
				}
			})
		}
		nodetest.Sleep(5 * time.Second)
		require.Equal(t, 64, done)
		require.Len(t, s.Facts("bundle-fetched"), 1)
	})
}

// TestBusyAndDraining: who has as many requests as it may says that nothing was done; who ends answers what it has.
func TestBusyAndDraining(t *testing.T) {
	onStage(t, func(s *substrate.Settings) { s.RequestsMax = 1 }, func(s *stage) {
		s.publish(website("hello", false, "www.example.com"), "c1", pages)
		require.Equal(t, 200, s.ask("GET", "http://www.example.com/").status)
		var slow *http.Response
		s.user.Do(func(ctx context.Context) {
			r, err := http.NewRequest("GET", "http://www.example.com/big.bin", nil)
			require.NoError(t, err)
			slow, err = httpstream.Do(context.WithoutCancel(ctx), s.user.Env.Wire, s.substrate.Peer(), substrateapi.HTTP.Name, r)
			require.NoError(t, err)
		})
		nodetest.Sleep(time.Second) // it reads nothing of the body
		a := s.ask("GET", "http://www.example.com/")
		require.Equal(t, 503, a.status)
		require.Equal(t, substrateapi.Busy, a.header.Get(substrateapi.HeaderRefused))
		require.Equal(t, "1", a.header.Get("Retry-After"))
		var body []byte
		s.user.Env.Loop.Go("read", func(ctx context.Context) {
			if err := nodetestSleep(ctx, s.user.Env, 2*time.Second); err == nil {
				body, _ = io.ReadAll(slow.Body)
			}
		})
		s.substrate.Stop()
		nodetest.Sleep(time.Second)
		require.Equal(t, pages["big.bin"], string(body), "it was told to end meanwhile")
	})
}

// TestWhoDoesNotKnowSaysSo: a substrate that has just started does not say that there is nothing.
func TestWhoDoesNotKnowSaysSo(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		s.publish(website("hello", false, "www.example.com"), "c1", pages)
		s.tns.Stop()
		s.substrate.Stop()
		s.substrate.Start()
		a := s.ask("GET", "http://www.example.com/")
		require.Equal(t, substrateapi.Starting, a.header.Get(substrateapi.HeaderRefused))
		s.tns.Start()
		nodetest.Sleep(10 * time.Second)
		require.Equal(t, 200, s.ask("GET", "http://www.example.com/").status)
	})
}

// TestTheCacheIsBounded: what was not asked for for longest goes first.
func TestTheCacheIsBounded(t *testing.T) {
	onStage(t, func(s *substrate.Settings) { s.CacheSize = 4 << 20 }, func(s *stage) {
		for i := range 3 {
			s.publish(website(fmt.Sprint("p", i), false, fmt.Sprintf("p%d.example.com", i)), fmt.Sprint("c", i), map[string]string{"index.html": fmt.Sprint(i), "big": noise(fmt.Sprint(i), 1_800_000)})
		}
		for _, i := range []int{0, 1, 2, 0, 2, 2} {
			require.Equal(t, fmt.Sprint("200 ", i), s.ask("GET", fmt.Sprintf("http://p%d.example.com/", i)).String())
			nodetest.Sleep(time.Second)
		}
		require.Len(t, s.Facts("bundle-fetched"), 4)
		s.user.Do(func(ctx context.Context) {
			status, err := substrateapi.Status.Call(ctx, s.user.Env.Wire, s.substrate.Peer(), substrateapi.StatusRequest{})
			require.NoError(t, err)
			require.LessOrEqual(t, status.Cached, status.CacheMax)
			require.Equal(t, 3, status.Projects)
		})
	})
}

// TestABundleThatIsNotWhatWasBuilt is not served: an asset is compared with its hash when it is brought here.
func TestABundleThatIsNotWhatWasBuilt(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		s.change = func(asset *build.Asset) { asset.Hash = strings.Repeat("0", 64) }
		s.publish(website("hello", false, "www.example.com"), "c1", pages)
		require.Equal(t, 503, s.ask("GET", "http://www.example.com/").status)
	})
}

// TestAFunctionWithoutAnEngine is refused in clear words.
func TestAFunctionWithoutAnEngine(t *testing.T) {
	onStage(t, nil, func(s *stage) {
		p := website("hello", false, "www.example.com")
		p.Functions = []project.Function{{Base: project.Base{Name: "f"}, Type: project.TriggerHTTP, Methods: []string{"GET"}, Paths: []string{"/api/{id}"}, Domains: []string{"d0"}, Call: "f"}}
		s.publish(p, "c1", pages)
		a := s.ask("GET", "http://www.example.com/api/7")
		require.Equal(t, 501, a.status)
		require.Contains(t, a.body, "no engine")
	})
}

// noise is text that does not repeat itself.
func noise(of string, n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%s-%d ", of, i)
	}
	return b.String()
}

// nodetestSleep parks a task of a caller.
func nodetestSleep(ctx context.Context, env node.Env, d time.Duration) error {
	return clock.Sleep(ctx, env.Loop, d)
}

// FuzzSubstrate sends arbitrary bytes to all that a substrate serves.
func FuzzSubstrate(f *testing.F) {
	nodetest.FuzzService(f, []string{"substrate/substrateapi/testdata/golden/v1.txt"}, func(*nodetest.Cloud) []node.Configured {
		return []node.Configured{{Spec: tns.Spec(), Settings: tns.DefaultSettings()}, {Spec: hoarder.Spec(), Settings: hoarder.DefaultSettings()}, {Spec: substrate.Spec(nil), Settings: substrate.DefaultSettings()}}
	})
}
