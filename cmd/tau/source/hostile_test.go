package source

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/project/tree"
)

// object is one of a pack that is made by hand.
type object struct {
	kind    byte // as packs number them: 1 commit, 2 tree, 3 blob, 7 a delta
	content []byte
	base    string // of a delta
}

var kindWords = map[byte]string{1: "commit", 2: "tree", 3: "blob"}

func (o object) id() string {
	sum := sha1.Sum(append([]byte(fmt.Sprintf("%s %d\x00", kindWords[o.kind], len(o.content))), o.content...))
	return hex.EncodeToString(sum[:])
}

func commitOf(tree string) object {
	return object{kind: 1, content: []byte("tree " + tree + "\nauthor a <a@example.com> 0 +0000\ncommitter a <a@example.com> 0 +0000\n\nx\n")}
}

func treeWith(entries ...string) object {
	return object{kind: 2, content: []byte(strings.Join(entries, ""))}
}

// pack is a pack of objects, whatever a Git would say of them.
func pack(objects ...object) []byte {
	var out bytes.Buffer
	out.WriteString("PACK")
	_ = binary.Write(&out, binary.BigEndian, []uint32{2, uint32(len(objects))})
	for _, o := range objects {
		size, first := len(o.content)>>4, o.kind<<4|byte(len(o.content)&15)
		for size > 0 {
			out.WriteByte(first | 0x80)
			first, size = byte(size&0x7f), size>>7
		}
		out.WriteByte(first)
		if o.base != "" {
			raw, _ := hex.DecodeString(o.base)
			out.Write(raw)
		}
		z := zlib.NewWriter(&out)
		_, _ = z.Write(o.content)
		_ = z.Close()
	}
	sum := sha1.Sum(out.Bytes())
	return append(out.Bytes(), sum[:]...)
}

func pkt(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }

// liar is a forge that says that main is at a commit, and answers with a pack.
func liar(t *testing.T, commit string, pack []byte, more ...string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			io.WriteString(w, pkt("# service=git-upload-pack\n")+"0000"+pkt(commit+" refs/heads/main\x00shallow allow-tip-sha1-in-want allow-reachable-sha1-in-want ofs-delta\n")+strings.Join(more, "")+"0000")
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		if bytes.Contains(body, []byte("deepen 1")) {
			io.WriteString(w, pkt("shallow "+commit)+"0000")
		}
		if !bytes.Contains(body, []byte("done\n")) {
			return
		}
		io.WriteString(w, pkt("NAK\n"))
		w.Write(pack)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/x.git"
}

// server is a forge that answers everything in one way.
func server(t *testing.T, serve http.HandlerFunc) string {
	s := httptest.NewServer(serve)
	t.Cleanup(s.Close)
	return s.URL + "/x.git"
}

func moved(t *testing.T, code int, to func(r *http.Request) string) string {
	return server(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to(r), code) })
}

func always(t *testing.T, code int, contentType, body string) string {
	return server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	})
}

// What forges that lie have answered, and what becomes of it: the same with the machine's git and with that of this program. 0 is a fetch.
func TestHostileForges(t *testing.T) {
	blob := object{kind: 3, content: []byte("hello")}
	good, empty := treeWith(entry("100644", "a", blob.id())), treeWith()
	commit := commitOf(good.id())
	whole := pack(commit, good, blob)
	bomb, bombs := empty, []object{empty} // of directories with nothing in them
	for range 6 {
		var lines []string
		for i := range 10 {
			lines = append(lines, entry("40000", string(rune('a'+i)), bomb.id()))
		}
		bomb = treeWith(lines...)
		bombs = append(bombs, bomb)
	}
	emptyBomb, blobForTree := commitOf(bomb.id()), commitOf(blob.id())
	treeForBlob, blobForDir := treeWith(entry("100644", "a", empty.id())), treeWith(entry("40000", "d", blob.id()))
	ofTreeForBlob, ofBlobForDir := commitOf(treeForBlob.id()), commitOf(blobForDir.id())
	absent := strings.Repeat("12", 20)
	id, fine := commit.id(), liar(t, commit.id(), whole)
	elsewhere := strings.TrimSuffix(fine, "/x.git")
	odd := []string{
		pkt(id + " refs/heads/../../x\n"), pkt(id + " refs/heads/caf\xe9\n"), pkt(id + " refs/heads/a\x1b[2Jb\n"), pkt(id + " refs/heads/\n"), pkt(id + " refs/heads/main\n"),
		pkt(id + " refs/heads/" + strings.Repeat("a", 2000) + "\n"),
	}
	for _, c := range []struct {
		name, url, commit string
		fetched           Kind
		// listed: no branches may be told of what is no list, for that would be a deletion of all of them.
		listed bool
	}{
		{"an honest one", fine, id, 0, true},
		{"an end in the middle", liar(t, id, whole[:len(whole)-30]), id, Failed, true},
		{"another checksum", liar(t, id, append(bytes.Clone(whole[:len(whole)-1]), 0)), id, Failed, true},
		{"no pack", liar(t, id, nil), id, Failed, true},
		{"a pack without a file", liar(t, id, pack(commit, good)), id, Failed, true},
		{"a pack without the tree", liar(t, id, pack(commit)), id, Failed, true},
		{"a pack of something else", liar(t, absent, whole), absent, Missing, true},
		{"empty directories", liar(t, emptyBomb.id(), pack(append(bombs, emptyBomb)...)), emptyBomb.id(), Bad, true},
		{"a file as a tree", liar(t, blobForTree.id(), pack(blobForTree, blob)), blobForTree.id(), Bad, true},
		{"a tree as a file", liar(t, ofTreeForBlob.id(), pack(ofTreeForBlob, treeForBlob, empty)), ofTreeForBlob.id(), Bad, true},
		{"a file as a directory", liar(t, ofBlobForDir.id(), pack(ofBlobForDir, blobForDir, blob)), ofBlobForDir.id(), Bad, true},
		{"a delta of nothing", liar(t, id, pack(commit, good, object{kind: 7, content: []byte{5, 5, 0x90, 5}, base: absent})), id, Failed, true},
		{"odd branches", liar(t, id, whole, odd...), id, 0, true},
		{"another host", moved(t, http.StatusMovedPermanently, func(r *http.Request) string { return elsewhere + r.URL.String() }), id, Denied, false},
		{"files", moved(t, http.StatusFound, func(*http.Request) string { return "file:///etc/passwd" }), id, Denied, false},
		{"a page to log in", moved(t, http.StatusFound, func(*http.Request) string { return "/login" }), id, Denied, false},
		{"in a circle", moved(t, http.StatusFound, func(r *http.Request) string { return r.URL.String() }), id, Failed, false},
		{"nobody is let in", always(t, http.StatusForbidden, "text/plain", ""), id, Denied, false},
		{"no such repository", always(t, http.StatusNotFound, "text/plain", ""), id, Failed, false},
		{"too many questions", always(t, http.StatusTooManyRequests, "text/plain", ""), id, Failed, false},
		{"a page", always(t, http.StatusOK, "text/html", "<html>\x1b[2Jwe are back soon"), id, Failed, false},
		{"an empty page", always(t, http.StatusOK, "text/plain", ""), id, Failed, false},
		{"no list", always(t, http.StatusOK, advertisement, "<html>"), id, Failed, false},
		{"an error", always(t, http.StatusOK, advertisement, pkt("# service=git-upload-pack\n")+"0000"+pkt("ERR \x1b[2Jdenied\n")), id, Failed, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, own := range []bool{false, true} {
				r := &repository{T: t, own: own}
				g := r.fetcher()
				_, files, err := r.fetch(t.Context(), g, Request{URL: c.url, Commit: c.commit})
				var p *tree.Problem
				switch {
				case c.fetched == 0:
					require.NoError(t, err)
					require.Len(t, files, 1)
				case !errors.As(err, &p) || c.fetched != Bad:
					requireKind(t, c.fetched, err)
					require.Empty(t, files)
					require.NotContains(t, err.Error(), "\x1b")
				}
				if c.listed && c.fetched != 0 {
					continue
				}
				list, err := g.Refs(t.Context(), Request{URL: c.url})
				if !c.listed {
					require.Error(t, err)
					require.Empty(t, list)
					continue
				}
				require.NoError(t, err)
				require.Contains(t, list, Ref{"refs/heads/main", id})
			}
		})
	}
}

// What a repository unpacks to is bounded as what is sent is.
func TestAPackThatWantsAllMemory(t *testing.T) {
	both(t, func(t *testing.T, r *repository) {
		if r.own || r.fetcher().Prlimit != "" {
			zeros := object{kind: 3, content: make([]byte, 1<<20)}
			const times = 700
			var d []byte
			for _, n := range []int{len(zeros.content), len(zeros.content) * times} {
				d = binary.AppendUvarint(d, uint64(n))
			}
			d = append(d, bytes.Repeat([]byte{0x80 | 0x40, 0x10}, times)...) // copy 1 MiB from the beginning
			base := object{kind: 3, content: []byte("x")}
			commit := commitOf(treeWith(entry("100644", "a", base.id())).id())
			url := liar(t, commit.id(), pack(commit, zeros, object{kind: 7, content: d, base: zeros.id()}))
			_, _, err := r.fetch(t.Context(), r.fetcher(), Request{URL: url, Commit: commit.id()})
			requireKind(t, TooLarge, err)
			require.ErrorContains(t, err, "512 MiB of memory")
		}
	})
}

// A repository may move at its forge, and a forge may send us on to the same by TLS; nobody is sent a name or a password.
func TestARepositoryThatHasMoved(t *testing.T) {
	blob := object{kind: 3, content: []byte("hello")}
	good := treeWith(entry("100644", "a", blob.id()))
	commit := commitOf(good.id())
	forge, err := url.Parse(liar(t, commit.id(), pack(commit, good, blob)))
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: forge.Host})
	address := server(t, func(w http.ResponseWriter, r *http.Request) {
		if _, _, is := r.BasicAuth(); is {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if rest, is := strings.CutPrefix(r.URL.Path, "/x.git"); is {
			http.Redirect(w, r, "/new/y.git"+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			return
		}
		r.URL.Path = strings.Replace(r.URL.Path, "/new/y.git", "/x.git", 1)
		proxy.ServeHTTP(w, r)
	})
	address = strings.Replace(address, "://", "://ada@", 1)
	both(t, func(t *testing.T, r *repository) {
		_, files, err := r.fetch(t.Context(), r.fetcher(), Request{URL: address, Commit: commit.id()})
		require.NoError(t, err)
		require.Len(t, files, 1)
		list, err := r.fetcher().Refs(t.Context(), Request{URL: address + "/"})
		require.NoError(t, err)
		require.Len(t, list, 1)
	})
	for _, c := range []struct {
		from, to string
		same     bool
	}{
		{"http://a/x", "http://A/y", true}, {"http://a/x", "https://a/x", true}, {"https://a/x", "http://a/x", false}, {"http://a:80/x", "http://a:81/x", false},
		{"http://a:8080/x", "https://a:8080/x", false}, {"https://a/x", "https://a.b/x", false}, {"http://a/x", "http://b/x", false},
	} {
		from, _ := url.Parse(c.from)
		to, _ := url.Parse(c.to)
		require.Equal(t, c.same, sameHost(from, to), "%s to %s", c.from, c.to)
	}
}

// A forge that sends a byte now and then holds up nobody for as long as a fetch may take.
func TestAForgeThatDrips(t *testing.T) {
	url := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", advertisement)
		_, _ = io.WriteString(w, pkt("# service=git-upload-pack\n")+"0000fff0")
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "a")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(50 * time.Millisecond)
		}
	})
	both(t, func(t *testing.T, r *repository) {
		g := r.fetcher()
		g.Slow = time.Second
		_, err := g.Refs(t.Context(), Request{URL: url})
		requireKind(t, Failed, err)
		require.NotContains(t, err.Error(), "took too long") // which is a minute
	})
}
