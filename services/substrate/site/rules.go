package site

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// redirect is a line of _redirects: "/from/:name/* /to/:name/:splat 301!". Paths are those of the website, below its own.
type redirect struct {
	from   []string
	to     string
	status int
	forced bool
}

// headerRule is a block of _headers: a path, and lines that are indented below it.
type headerRule struct {
	from   []string
	fields []Field
}

var redirectStatuses = []int{200, 301, 302, 303, 307, 308, 404}

func (s *Site) warn(file string, line int, what string) {
	if len(s.Warnings) < 20 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s:%d: %s", file, line+1, what))
	}
}

// segments splits a path of a rule. A star stands at its end only.
func segments(text string) ([]string, bool) {
	if !strings.HasPrefix(text, "/") {
		return nil, false
	}
	parts := strings.Split(text[1:], "/")
	for i, p := range parts {
		if strings.Contains(p, "*") && (p != "*" || i != len(parts)-1) || len(parts) > 32 {
			return nil, false
		}
	}
	return parts, true
}

func (s *Site) readRedirects(text string) {
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(s.redirects) == RulesMax {
			s.warn("_redirects", i, fmt.Sprintf("only %d rules count", RulesMax))
			return
		}
		r, why := readRedirect(words)
		if why != "" {
			s.warn("_redirects", i, why)
			continue
		}
		s.redirects = append(s.redirects, r)
	}
}

func readRedirect(words []string) (r redirect, why string) {
	if len(words) < 2 || len(words) > 3 {
		return r, "expected FROM TO and perhaps a status"
	}
	from, ok := segments(words[0])
	if !ok {
		return r, "FROM is a path, with * at its end only"
	}
	r = redirect{from: from, to: words[1], status: 301}
	if len(words) == 3 {
		text, forced := strings.CutSuffix(words[2], "!")
		n, err := strconv.Atoi(text)
		if err != nil || !slices.Contains(redirectStatuses, n) {
			return r, "the status is none of 200, 301, 302, 303, 307, 308 and 404"
		}
		r.status, r.forced = n, forced
	}
	inside := strings.HasPrefix(r.to, "/") && !strings.HasPrefix(r.to, "//")
	u, err := url.Parse(r.to)
	if !inside && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.ContainsAny(u.Host, ":*")) {
		return r, "TO is a path, or begins with https:// and a host"
	}
	if !inside && (r.status == 200 || r.status == 404) {
		return r, "with status 200 and 404, TO is a path of this website"
	}
	return r, ""
}

func (s *Site) readHeaders(text string) {
	var at *headerRule
	for i, line := range strings.Split(text, "\n") {
		word := strings.TrimSpace(line)
		if word == "" || strings.HasPrefix(word, "#") {
			continue
		}
		if !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			if at = nil; len(s.headers) == RulesMax {
				s.warn("_headers", i, fmt.Sprintf("only %d rules count", RulesMax))
				return
			}
			from, ok := segments(word)
			if !ok {
				s.warn("_headers", i, "expected a path, with * at its end only")
				continue
			}
			s.headers = append(s.headers, headerRule{from: from})
			at = &s.headers[len(s.headers)-1]
			continue
		}
		name, value, ok := strings.Cut(word, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok || at == nil || !isToken(name) || !isText(value):
			s.warn("_headers", i, "expected NAME: VALUE below a path")
		case reserved(name):
			s.warn("_headers", i, name+" is not a website's to set")
		case len(at.fields) < 32:
			at.fields = append(at.fields, Field{name, value})
		}
	}
}

// reserved are fields that say how an answer is sent, and who has sent it.
func reserved(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "x-tau-") || slices.Contains([]string{
		"accept-ranges", "connection", "content-encoding", "content-length", "content-range", "date", "etag", "keep-alive", "location",
		"proxy-authenticate", "server", "te", "trailer", "transfer-encoding", "upgrade", "x-request-id",
	}, name)
}

func isToken(name string) bool {
	return name != "" && len(name) <= 128 && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

func isText(value string) bool {
	return len(value) <= 4096 && strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// match compares a rule's path with one that was asked for.
func match(from []string, rest string) (values map[string]string, ok bool) {
	parts := strings.Split(rest, "/")
	values = map[string]string{}
	for i, f := range from {
		if f == "*" {
			values["splat"] = strings.Join(parts[min(i, len(parts)):], "/")
			return values, true
		}
		if i >= len(parts) {
			return nil, false
		}
		if name, is := strings.CutPrefix(f, ":"); is && name != "" {
			if parts[i] == "" {
				return nil, false
			}
			values[name] = parts[i]
		} else if f != parts[i] {
			return nil, false
		}
	}
	return values, len(from) == len(parts)
}

// redirect finds the first rule that a path is of.
func (s *Site) redirect(base, rest, query, accepts string, forced bool) (Answer, bool) {
	for i := range s.redirects {
		r := &s.redirects[i]
		values, ok := match(r.from, rest)
		if !ok || r.forced != forced {
			continue
		}
		to := expand(r.to, values)
		if r.status != 200 && r.status != 404 {
			to = Escaped(to)
			if strings.HasPrefix(to, "/") {
				to = base + "/" + strings.TrimLeft(to, "/") // and never //host
			}
			return s.to(r.status, to, query), true
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(to, "/"), "?")
		if name == "" || strings.HasSuffix(name, "/") {
			name += "index.html"
		}
		if _, found := s.files[name]; found {
			return s.serve(r.status, name, rest, accepts), true
		}
	}
	return Answer{}, false
}

// expand puts values into a target: :splat, :name.
func expand(to string, values map[string]string) string {
	var b strings.Builder
	for i := 0; i < len(to); {
		j := i + 1
		for j < len(to) && (to[j] == '_' || to[j] >= '0' && to[j] <= '9' || to[j]|0x20 >= 'a' && to[j]|0x20 <= 'z') {
			j++
		}
		if value, known := values[to[i+1:j]]; to[i] == ':' && known {
			b.WriteString(value)
			i = j
			continue
		}
		b.WriteByte(to[i])
		i++
	}
	return b.String()
}

// Escaped is a location with nothing in it that would end a header field.
func Escaped(to string) string {
	var b strings.Builder
	for _, c := range []byte(to) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>\^{}|`+"`", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// headersFor are the fields of all rules that a path is of; a later one of the same name takes the place of an earlier.
func (s *Site) headersFor(rest string) (fields []Field) {
	for _, h := range s.headers {
		if _, ok := match(h.from, rest); !ok {
			continue
		}
		for _, f := range h.fields {
			fields = slices.DeleteFunc(fields, func(o Field) bool { return strings.EqualFold(o.Name, f.Name) })
			fields = append(fields, f)
		}
	}
	return fields
}
