// Package site says what a website answers: which of its files a path means, with which status and headers, by its own
// files _redirects and _headers, index.html and 404.html. It is pure, and knows no HTTP server.
package site

import (
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"

	"github.com/andybalholm/brotli"

	"github.com/taucloud/tau/project/build"
)

// Bounds of a website. What has more is not served.
const (
	// FilesMax is how many files it has.
	FilesMax = 10_000
	// ControlLenMax is how long _redirects and _headers are each, in bytes; RulesMax is how many rules each has.
	ControlLenMax = 64 << 10
	RulesMax      = 1000
)

// File is one of a website.
type File struct {
	Path string
	// Offset and Size are in bytes; Offset counts from the beginning of the archive.
	Offset, Size int64
	// ETag is that of the content alone, with its quotes: it stays the same in the next version if the file does.
	ETag string
}

// Site is what is known of a website. It does not change.
type Site struct {
	files     map[string]File
	packed    map[string]File // of files, as builders pack them; nobody asks for them by name
	apart     map[string]bool // files with .br or .gz behind the name of another one, which do not unpack to that
	spa       bool
	redirects []redirect
	headers   []headerRule
	// Warnings are lines of _redirects and _headers that are not understood, and so left out.
	Warnings []string
}

// Read reads an archive of files that are stored as they are, and each file once, for its ETag. spa: what is not there is
// answered with index.html.
func Read(archive io.ReaderAt, size int64, spa bool) (*Site, error) {
	z, err := zip.NewReader(archive, size)
	if err != nil {
		return nil, fmt.Errorf("site: %w", err)
	}
	if len(z.File) > FilesMax {
		return nil, fmt.Errorf("site: more than %d files", FilesMax)
	}
	s := &Site{files: make(map[string]File, len(z.File)), packed: map[string]File{}, spa: spa}
	for _, f := range z.File {
		if err := s.add(archive, size, f); err != nil {
			return nil, err
		}
	}
	s.setApart(archive)
	for name, read := range map[string]func(text string){"_redirects": s.readRedirects, "_headers": s.readHeaders} {
		text, err := s.control(archive, name)
		if err != nil {
			return nil, err
		}
		read(text)
	}
	return s, nil
}

func (s *Site) add(archive io.ReaderAt, size int64, f *zip.File) error {
	if f.Method != zip.Store || f.UncompressedSize64 != f.CompressedSize64 {
		return fmt.Errorf("site: %.80q is not stored as it is", f.Name)
	}
	if path.Clean("/"+f.Name) != "/"+f.Name {
		return fmt.Errorf("site: %.80q is no path of a file", f.Name)
	}
	into := s.files
	if f.Comment == build.PackedComment {
		into = s.packed
	}
	if _, twice := into[f.Name]; twice {
		return fmt.Errorf("site: %.80q is there twice", f.Name)
	}
	at, err := f.DataOffset()
	if err != nil {
		return fmt.Errorf("site: %.80q: %w", f.Name, err)
	}
	file := File{Path: f.Name, Offset: at, Size: int64(f.UncompressedSize64)}
	if file.Size < 0 || at < 0 || at > size || file.Size > size-at {
		return fmt.Errorf("site: %.80q lies outside of the archive", f.Name)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(archive, at, file.Size)); err != nil {
		return fmt.Errorf("site: %.80q: %w", f.Name, err)
	}
	file.ETag = etagOf(h)
	into[f.Name] = file
	return nil
}

// encodings are those in which files lie beside themselves, the best first.
var encodings = []struct {
	name, suffix string
	reader       func(io.Reader) (io.Reader, error)
}{
	{"br", ".br", func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }},
	{"gzip", ".gz", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
}

// setApart finds the files that are called as if they were others, packed, and are not.
func (s *Site) setApart(archive io.ReaderAt) {
	s.apart = map[string]bool{}
	for name, packed := range s.files {
		for _, e := range encodings {
			plain, is := s.files[strings.TrimSuffix(name, e.suffix)]
			if !is || !strings.HasSuffix(name, e.suffix) {
				continue
			}
			unpacked, err := e.reader(io.NewSectionReader(archive, packed.Offset, packed.Size))
			if err != nil || !unpacksTo(unpacked, plain) {
				s.apart[name] = true
			}
		}
	}
}

// unpacksTo reports whether what was packed is a file; no more is unpacked than that has.
func unpacksTo(unpacked io.Reader, plain File) bool {
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(unpacked, plain.Size+1))
	return err == nil && n == plain.Size && etagOf(h) == plain.ETag
}

// etagOf is an ETag of what was hashed.
func etagOf(h hash.Hash) string {
	return `"` + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18]) + `"`
}

// control reads a file that is about the others, "" if there is none.
func (s *Site) control(archive io.ReaderAt, name string) (string, error) {
	f, found := s.files[name]
	if !found {
		return "", nil
	}
	delete(s.files, name) // it is served to nobody
	if f.Size > ControlLenMax {
		return "", fmt.Errorf("site: %s has more than %d bytes", name, ControlLenMax)
	}
	text := make([]byte, f.Size)
	if _, err := archive.ReadAt(text, f.Offset); err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("site: %s: %w", name, err)
	}
	return string(text), nil
}

// Files is how many there are.
func (s *Site) Files() int { return len(s.files) }

// Answer is what a path means.
type Answer struct {
	Status int
	// File has the body, if there is one; Encoding is how it is packed, "" if it is not.
	File     *File
	Encoding string
	// Negotiated: another encoding would have been answered to who accepts it.
	Negotiated bool
	// Location is where a redirection leads.
	Location string
	// Type is the media type of the file before it was packed.
	Type string
	// Header are further fields, by _headers, in order.
	Header []Field
}

// Field is one of a header.
type Field struct{ Name, Value string }

// Resolve says what a path means: decoded, without a slash at its beginning, below the website's own. base is the
// website's own path, without a slash at its end; query has no question mark. accepts is the request's Accept-Encoding.
//
// In this order: redirections that are forced, a file, the index of a folder, the file with .html behind it, the other
// redirections, index.html for a single-page application, the nearest 404.html.
func (s *Site) Resolve(base, rest, query, accepts string) Answer {
	if cleaned, same := clean(rest); !same {
		return s.to(301, Escaped(base+"/"+cleaned), query)
	}
	if a, ok := s.redirect(base, rest, query, accepts, true); ok {
		return a
	}
	if a, ok := s.file(base, rest, query, accepts); ok {
		return a
	}
	if a, ok := s.redirect(base, rest, query, accepts, false); ok {
		return a
	}
	if _, index := s.files["index.html"]; s.spa && index {
		return s.serve(200, "index.html", rest, accepts)
	}
	return s.missing(rest, accepts)
}

// clean is a path without empty and dotted segments; a slash at its end stays.
func clean(rest string) (cleaned string, same bool) {
	if rest == "" {
		return "", true
	}
	cleaned = strings.TrimPrefix(path.Clean("/"+rest), "/")
	if strings.HasSuffix(rest, "/") && cleaned != "" {
		cleaned += "/"
	}
	return cleaned, cleaned == rest
}

func (s *Site) to(status int, location, query string) Answer {
	if query != "" && !strings.Contains(location, "?") {
		location += "?" + query
	}
	return Answer{Status: status, Location: location}
}

// file looks for what a path names.
func (s *Site) file(base, rest, query, accepts string) (Answer, bool) {
	has := func(name string) bool { _, found := s.files[name]; return found }
	switch {
	case rest != "" && !strings.HasSuffix(rest, "/") && has(rest):
		return s.serve(200, rest, rest, accepts), true
	case (rest == "" || strings.HasSuffix(rest, "/")) && has(rest+"index.html"):
		return s.serve(200, rest+"index.html", rest, accepts), true
	case rest == "" || strings.HasSuffix(rest, "/"):
		return Answer{}, false
	case has(rest + "/index.html"):
		return s.to(301, Escaped(base+"/"+rest+"/"), query), true
	case has(rest + ".html"):
		return s.serve(200, rest+".html", rest, accepts), true
	}
	return Answer{}, false
}

// missing is the nearest 404.html above a path, or nothing.
func (s *Site) missing(rest, accepts string) Answer {
	for dir := path.Dir("/" + rest); ; dir = path.Dir(dir) {
		name := strings.TrimPrefix(path.Join(dir, "404.html"), "/")
		if _, found := s.files[name]; found {
			return s.serve(404, name, rest, accepts)
		}
		if dir == "/" {
			return Answer{Status: 404}
		}
	}
}

// serve is a file, in the encoding that the client likes best of those in which it lies there; of equal ones in the shortest.
func (s *Site) serve(status int, name, rest, accepts string) Answer {
	f := s.files[name]
	a := Answer{Status: status, File: &f, Type: TypeOf(name), Header: s.headersFor(rest)}
	weights := weigh(accepts)
	best := weights.of("identity")
	for _, e := range encodings {
		packed, found := s.files[name+e.suffix]
		if !found || s.apart[name+e.suffix] {
			packed, found = s.packed[name+e.suffix]
		}
		if !found {
			continue
		}
		a.Negotiated = true
		if w := weights.of(e.name); w > 0 && (w > best || w == best && a.Encoding == "") {
			a.File, a.Encoding, best = &packed, e.name, w
		}
	}
	if best == 0 {
		return Answer{Status: 406, Negotiated: true}
	}
	return a
}

// TypeOf is the media type of a file by its name, the same on every machine.
func TypeOf(name string) string {
	if t, known := types[strings.ToLower(path.Ext(name))]; known {
		return t
	}
	return "application/octet-stream"
}

var types = map[string]string{
	".avif": "image/avif", ".bmp": "image/bmp", ".css": "text/css; charset=utf-8", ".csv": "text/csv; charset=utf-8", ".eot": "application/vnd.ms-fontobject",
	".gif": "image/gif", ".htm": "text/html; charset=utf-8", ".html": "text/html; charset=utf-8", ".ico": "image/x-icon", ".ics": "text/calendar; charset=utf-8",
	".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".js": "text/javascript; charset=utf-8", ".json": "application/json", ".jsonld": "application/ld+json",
	".map": "application/json", ".md": "text/markdown; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".mp3": "audio/mpeg", ".mp4": "video/mp4",
	".oga": "audio/ogg", ".ogg": "audio/ogg", ".ogv": "video/ogg", ".opus": "audio/opus", ".otf": "font/otf", ".pdf": "application/pdf", ".png": "image/png",
	".rss": "application/rss+xml", ".svg": "image/svg+xml", ".tar": "application/x-tar", ".ttf": "font/ttf", ".txt": "text/plain; charset=utf-8",
	".wasm": "application/wasm", ".wav": "audio/wav", ".webm": "video/webm", ".webmanifest": "application/manifest+json", ".webp": "image/webp",
	".woff": "font/woff", ".woff2": "font/woff2", ".xhtml": "application/xhtml+xml", ".xml": "text/xml; charset=utf-8", ".zip": "application/zip",
}
