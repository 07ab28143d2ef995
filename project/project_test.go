package project

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taucloud/tau/project/route"
	"github.com/taucloud/tau/yamltree"
)

// TestWhatIsPrintedIsRead in both forms, whatever the order of files and of resources.
func TestWhatIsPrintedIsRead(t *testing.T) {
	for _, form := range []Form{Repository, Mono} {
		t.Run(string(form), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				p := projects(form).Draw(t, "project")
				files := filesOf(p.Print(form))
				if form == Mono {
					files = withFolders(p, files)
				}
				got, err := Load(files)
				require.NoError(t, err)
				require.Equal(t, p, got.Project)
				require.Equal(t, form, got.Form)

				got, err = Load(backwards{files})
				require.NoError(t, err)
				require.Equal(t, p, got.Project, "files in another order")
				slices.Reverse(got.Functions)
				slices.Reverse(got.Domains)
				slices.Reverse(got.Applications)
				if form == Mono {
					again, err := Parse(MonoFile, []byte(got.Print(Mono)[MonoFile]))
					require.NoError(t, err)
					require.Equal(t, p, again.Project, "resources in another order")
				}
			})
		})
	}
}

// TestWhatIsCompiled: each route and trigger leads to an entry, no request has two answers, all is within the bounds of a
// version, and the same project compiles to the same bytes.
func TestWhatIsCompiled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := projects(Mono).Draw(t, "project")
		o := Options{Preview: rapid.SampledFrom([]string{"", "feature/x"}).Draw(t, "preview")}
		c, err := Compile(p, o)
		require.NoError(t, err)
		require.NoError(t, c.Fits())
		again, err := Compile(p, o)
		require.NoError(t, err)
		require.Equal(t, c, again)

		paths := map[string]bool{}
		for _, e := range c.Entries {
			require.False(t, paths[e.Path], "%s is there twice", e.Path)
			paths[e.Path] = true
		}
		require.True(t, slices.IsSortedFunc(c.Entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) }))
		p.each(func(ref Ref, _ resource) { require.True(t, paths[ref.String()], ref) })

		seen := map[string]bool{}
		for _, claim := range c.Claims {
			require.True(t, paths[claim.Target], "%v leads nowhere", claim)
			for _, method := range claim.Methods {
				at := method + " " + claim.Host + claim.Key
				require.False(t, seen[at], "two answers: %s", at)
				seen[at] = true
			}
			pattern, err := route.Parse(claim.Path)
			require.NoError(t, err)
			require.Equal(t, claim.Key, pattern.Key())
		}
		require.Equal(t, c.Claims, published[route.Claim](t, c, "routes/"), "entries have the claims, in the same order")
		require.True(t, slices.IsSortedFunc(c.Claims, route.Claim.Compare))
		for _, trigger := range published[Trigger](t, c, "triggers/") {
			require.True(t, paths[trigger.Target], "%v leads nowhere", trigger)
		}
	})
}

// published are the lists that entries below a path hold.
func published[T any](t require.TestingT, c *Compiled, below string) (all []T) {
	for _, e := range c.Entries {
		if strings.HasPrefix(e.Path, below) {
			var part []T
			require.NoError(t, cbor.Unmarshal(e.Value, &part))
			all = append(all, part...)
		}
	}
	return all
}

// TestCompiledEntries are what they were: whoever reads published versions relies on it. UPDATE=1 writes them.
func TestCompiledEntries(t *testing.T) {
	var got strings.Builder
	for _, name := range []string{"mono-full", "repository-tea"} {
		for _, f := range fixtures(t, "valid") {
			if !strings.HasSuffix(f.name, name+".txtar") {
				continue
			}
			p, err := Load(f.files)
			require.NoError(t, err)
			c, err := Compile(p.Project, Options{Project: "p"})
			require.NoError(t, err)
			for _, e := range c.Entries {
				text, err := cbor.Diagnose(e.Value)
				require.NoError(t, err)
				fmt.Fprintf(&got, "%s %s\n", e.Path, text)
			}
		}
	}
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile("testdata/entries.golden", []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile("testdata/entries.golden")
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}

// TestARenameRenames: a function with another name compiles to the same, under its other name.
func TestARenameRenames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := projects(Repository).Draw(t, "project")
		before, err := Compile(p, Options{})
		require.NoError(t, err)
		for i := range p.Functions {
			p.Functions[i].Name += "-renamed"
		}
		after, err := Compile(p, Options{})
		require.NoError(t, err)
		back := func(text string) string {
			if strings.HasPrefix(text, "functions/") {
				return strings.TrimSuffix(text, "-renamed")
			}
			return text
		}
		require.Len(t, after.Entries, len(before.Entries))
		for i, e := range after.Entries {
			require.Equal(t, before.Entries[i].Path, back(e.Path))
		}
		require.Len(t, after.Claims, len(before.Claims))
		for i, c := range after.Claims {
			c.Target = back(c.Target)
			require.Equal(t, before.Claims[i], c)
		}
	})
}

// TestKeysAreNotPublished, nor shown.
func TestKeysAreNotPublished(t *testing.T) {
	p, err := Load(fstest.MapFS{
		"config.yaml":         {Data: []byte("name: keys")},
		"domains/a.yaml":      {Data: []byte("fqdn: a.example.com\ncertificate: {type: inline, cert: public, key: canary-1}")},
		"databases/a.yaml":    {Data: []byte("storage: {size: 1MB}\nencryption: {type: aes, key: canary-2}")},
		"functions/f.yaml":    {Data: []byte("trigger: {type: https, paths: [/f]}\nsecrets: [KEY]")},
		"functions/.env.yaml": {Data: []byte("canary-3")},
	})
	require.NoError(t, err)
	require.Len(t, p.Warnings, 2)
	require.Contains(t, p.Print(Repository)["domains/a.yaml"], "canary-1")
	c, err := Compile(p.Project, Options{})
	require.NoError(t, err)
	shown, err := json.Marshal(p)
	require.NoError(t, err)
	all := string(shown) + p.Warnings.Error() + fmt.Sprint(p.Print(Mono))
	for _, e := range c.Entries {
		all += string(e.Value)
	}
	require.Contains(t, all, "a.example.com")
	require.NotContains(t, all, "canary")

	for _, broken := range []string{"{type: inline, key: canary-1, crt: x}", "{type: inline, cert: [a], key: canary-1}", "{key: canary-1, key: canary-1}", "{key: [canary-1]}", "{key: canary-1", "{typ: a,\n key: canary-1}"} {
		_, err = Load(fstest.MapFS{"config.yaml": {Data: []byte("name: keys")}, "domains/a.yaml": {Data: []byte("fqdn: a.example.com\ncertificate: " + broken)}})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "canary", broken)
	}
}

// TestHosts: domains in production, hosts of its own otherwise, and nobody takes the host of another project.
func TestHosts(t *testing.T) {
	p, err := Parse("x", []byte("name: My_Shop\nid: QmAbcdEFGHijkl\ndomains: {d: shop.example.com}\nfunctions: {f: {paths: [/f], domains: [d]}, g: {paths: [/g]}}"))
	require.NoError(t, err)
	hosts := func(o Options) (list []string) {
		c, err := Compile(p.Project, o)
		require.NoError(t, err)
		for _, claim := range c.Claims {
			list = append(list, claim.Host)
		}
		return list
	}
	require.Equal(t, []string{"my-shop-7mfqn85hvhop.tau.localhost", "shop.example.com"}, hosts(Options{}))
	preview := hosts(Options{Preview: "feature/New_Thing", Generated: "g.example.net"})
	require.Len(t, slices.Compact(preview), 2, "what has another domain has another host")
	for _, host := range preview {
		require.Regexp(t, `^feature-new-thing-my-shop-[0-9a-v]{12}\.g\.example\.net$`, host)
	}
	require.NotEqual(t, preview, hosts(Options{Preview: "feature/new-thing", Generated: "g.example.net"}), "branches that look alike are told apart")

	own := hosts(Options{Generated: "g.example.net"})[0]
	for fqdn, allowed := range map[string]bool{
		own: true, "efghijkl0.g.example.net": true, "test-efghijkl12.g.example.net": true, "efghijkl0-x.g.example.net": false, "shop.example.com": true, "g.example.net": false, "other.g.example.net": false,
		"x." + own: false, "a.efghijkl0.g.example.net": false, "my-shop-000000000000.g.example.net": false, "notg.example.net": true,
	} {
		p.Domains[0].FQDN = fqdn
		_, err := Compile(p.Project, Options{Generated: "g.example.net"})
		require.Equal(t, allowed, err == nil, "%s: %v", fqdn, err)
	}
}

// TestMadeProjects are checked as read ones are.
func TestMadeProjects(t *testing.T) {
	f := Function{Base: Base{Name: "f"}, Type: TriggerHTTPS, Methods: []string{"GET"}, Paths: []string{"/a"}, Domains: []string{"no"}, Source: "libraries/no"}
	g := Function{Base: Base{Name: "g"}, Type: TriggerHTTPS, Methods: []string{"GET"}, Paths: []string{"/x", "/x", "x"}}
	_, err := Compile(&Project{Name: "p", Scope: Scope{Functions: []Function{f, g}}}, Options{})
	require.ErrorContains(t, err, "functions/f:1:1: domains: there is no domain")
	require.ErrorContains(t, err, "functions/f:1:1: source: there is no library no")
	require.ErrorContains(t, err, "functions/g:1:1: GET /x is functions/g's already")
	require.ErrorContains(t, err, "a path begins with /")
}

// TestWhatIsTooMuch is refused, at the bound and not before.
func TestWhatIsTooMuch(t *testing.T) {
	many := func(n int) *Compiled {
		c := &Compiled{}
		for i := range n {
			c.Entries = append(c.Entries, Entry{Path: fmt.Sprintf("%04d", i)})
		}
		return c
	}
	require.NoError(t, many(EntriesMax).Fits())
	require.ErrorContains(t, many(EntriesMax+1).Fits(), "2049 entries")
	require.NoError(t, (&Compiled{Entries: []Entry{{"a", make([]byte, VersionLenMax-1)}}}).Fits())
	require.ErrorContains(t, (&Compiled{Entries: []Entry{{"a", make([]byte, VersionLenMax)}}}).Fits(), "bytes")
	require.ErrorContains(t, (&Compiled{Entries: []Entry{{strings.Repeat("a", PathLenMax+1), nil}}}).Fits(), "512")

	text := func(n int) []byte { return []byte("name: a\ndescription: " + strings.Repeat("x", n)) }
	_, err := Parse("x", text(textLenMax))
	require.NoError(t, err)
	for want, data := range map[string][]byte{
		"a text of 4097 bytes":     text(textLenMax + 1),
		"1048597 bytes, expected":  text(FileLenMax),
		"a list of 257":            []byte("name: a\ntags: [" + strings.Repeat("x, ", itemsMax) + "x]"),
		"more than 2048 keys":      []byte("name: a\nfunctions:\n" + lines(2049, "  f%d: {channel: c}\n")),
		"at most 256 applications": []byte("name: a\napplications:\n" + lines(257, "  a%d: {}\n")),
		"nested more than 16 deep": []byte("name: " + strings.Repeat("[", 17) + strings.Repeat("]", 17)),
		"at most 16384 resources":  []byte("name: a\napplications:\n" + lines(9, "  a%d:\n    services:\n"+lines(2000, "      s%d: /a\n"))),
		"and 450 more, not shown":  []byte("name: a\nfunctions:\n" + lines(600, "  f%d: {}\n")),
	} {
		_, err = Parse("x", data)
		require.ErrorContains(t, err, want)
	}
	_, err = Parse("x", []byte("name: a\ndomains:\n"+lines(2048, "  d%d: d.example.com\n")))
	require.NoError(t, err)
}

// lines are a text so many times, with a number in place of its first %d.
func lines(n int, text string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Replace(text, "%d", fmt.Sprint(i), 1))
	}
	return b.String()
}

// TestHowTextIsWritten: with a byte order mark, with lines that end as on Windows, with tabs where none may be.
func TestHowTextIsWritten(t *testing.T) {
	plain, err := Parse("x", []byte("name: a\nfunctions:\n  f:\n    channel: c\n"))
	require.NoError(t, err)
	for _, text := range []string{"\uFEFFname: a\nfunctions:\n  f:\n    channel: c\n", "name: a\r\nfunctions:\r\n  f:\r\n    channel: c\r\n", `{"name": "a", "functions": {"f": {"channel": "c"}}}`} {
		p, err := Parse("x", []byte(text))
		require.NoError(t, err, text)
		require.Equal(t, plain.Project, p.Project)
	}
	for text, want := range map[string]string{
		"\uFEFFname: a\r\nfnctions: {}\r\n": "x:2:1: unknown key \"fnctions\" of a project\n    | fnctions: {}\n    | ^\n",
		"name: a\nfunctions:\n\tf: {}":      "x:3:1",
		"name: \xff":                        "not UTF-8",
		"name: a\nname: b":                  "given twice",
		"name: a\n---\nname: b":             "second document",
		"name: a\nfunctions: {<<: {}}":      "merge keys",
		"name: !!str a":                     "tags",
		"name: a\ntags: [" + strings.Repeat("é", 100) + ", {}]": "^",
	} {
		_, err := Parse("x", []byte(text))
		require.ErrorContains(t, err, want)
		require.IsType(t, yamltree.Errors{}, err)
	}
}

// TestNoughtIsNoLimit in existing files: here there is always one, and it is said.
func TestNoughtIsNoLimit(t *testing.T) {
	p, err := Load(fstest.MapFS{"config.yaml": {Data: []byte("name: a")}, "functions/f.yaml": {Data: []byte("trigger: {type: pubsub, channel: c}\nexecution: {timeout: 0s, memory: 0MB}")}})
	require.NoError(t, err)
	require.Equal(t, Duration(10*time.Second), p.Functions[0].Timeout)
	require.Equal(t, Size(64e6), p.Functions[0].Memory)
	require.Len(t, p.Warnings, 2)
	_, err = Parse("x", []byte("name: a\nfunctions: {f: {channel: c, timeout: 0s}}"))
	require.ErrorContains(t, err, "expected more than no time")
}

func TestQuantities(t *testing.T) {
	for text, want := range map[string]Size{"1B": 1, "32MB": 32e6, "64MB10KB": 64_010_000, "1KiB": 1024, "2GiB": 2 << 30, "1TB": 1e12} {
		got, ok := ParseSize(text)
		require.True(t, ok, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "1", "MB", "1mb", "-1MB", "1.5MB", "1 MB", "99999999999TB", "18446744TB99999999TB"} {
		_, ok := ParseSize(text)
		require.False(t, ok, text)
	}
	require.Equal(t, "64010KB", Size(64_010_000).String())
	for text, want := range map[string]time.Duration{"10s": 10 * time.Second, "1h15m": 75 * time.Minute, "1.5s": 1500 * time.Millisecond, "6m40s": 400 * time.Second} {
		got, ok := ParseDuration(text)
		require.True(t, ok, text)
		require.Equal(t, Duration(want), got)
		if !strings.Contains(text, ".") {
			require.Equal(t, text, got.String())
		}
	}
	for _, text := range []string{"", "10", "-1s", "1d", "10 s", "999999999h"} {
		_, ok := ParseDuration(text)
		require.False(t, ok, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		size, duration := Size(rapid.Uint64Range(1, 1<<60).Draw(t, "size")), Duration(rapid.Int64Range(1, 1<<60).Draw(t, "duration"))
		s, ok := ParseSize(size.String())
		require.True(t, ok && s == size, size.String())
		d, ok := ParseDuration(duration.String())
		require.True(t, ok && d == duration, duration.String())
	})
}

// many is a project of so many functions.
func many(n int) *Project {
	p := &Project{Name: "many", Scope: Scope{Domains: []Domain{{Base: Base{Name: "d"}, FQDN: "many.example.com", Certificate: "auto"}}}}
	for i := range n {
		p.Functions = append(p.Functions, Function{
			Base: Base{Name: fmt.Sprintf("function%05d", i), ID: fmt.Sprintf("QmV%043d", i)}, Type: TriggerHTTPS, Methods: []string{"GET", "POST"},
			Paths: []string{fmt.Sprintf("/api/v%d/items/{id}", i)}, Domains: []string{"d"}, Source: ".", Timeout: Duration(10 * time.Second), Memory: 32e6, Call: "handle",
		})
	}
	return p
}

// TestPartsOfLongLists: what is too long for one entry is in several, of which none is large, in order.
func TestPartsOfLongLists(t *testing.T) {
	c, err := Compile(many(2000), Options{})
	require.NoError(t, err)
	require.Len(t, c.Claims, 2000)
	require.Equal(t, c.Claims, published[route.Claim](t, c, "routes/many.example.com/"))
	parts := 0
	for _, e := range c.Entries {
		if strings.HasPrefix(e.Path, "routes/") {
			parts++
			require.LessOrEqual(t, len(e.Value), partLenMax+1024)
		}
	}
	require.Equal(t, 8, parts)
	require.ErrorContains(t, c.Fits(), "a version takes at most 524288: split it")
}

// TestAnApplicationsOwnComeFirst: its domain and its library, before those of the project that are called the same.
func TestAnApplicationsOwnComeFirst(t *testing.T) {
	p, err := Parse("x", []byte(`name: a
domains: {d: outer.example.com, e: e.example.com}
libraries: {l: {path: ./l}, m: {path: ./m}}
applications:
  app:
    domains: {d: inner.example.com}
    libraries: {l: {path: ./inner}}
    functions:
      f: {paths: [/f], domains: [d, e], source: libraries/l}
      g: {channel: c, source: libraries/m}
`))
	require.NoError(t, err)
	c, err := Compile(p.Project, Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"e.example.com", "inner.example.com"}, []string{c.Claims[0].Host, c.Claims[1].Host})
	sources := map[string]string{}
	for _, e := range c.Entries {
		var f Function
		if strings.Contains(e.Path, "/functions/") {
			require.NoError(t, cbor.Unmarshal(e.Value, &f))
			sources[f.Name] = f.Source
		}
	}
	require.Equal(t, map[string]string{"f": "applications/app/libraries/l", "g": "libraries/m"}, sources)
}

func BenchmarkCompile(b *testing.B) {
	p := many(10_000)
	for b.Loop() {
		if _, err := Compile(p, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	files := filesOf(many(10_000).Print(Repository))
	for b.Loop() {
		if _, err := Load(files); err != nil {
			b.Fatal(err)
		}
	}
}
