package web

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// variables is a request as CGI/1.1 has it. Parameters of the path are PARAM_NAME.
func variables(q *http.Request, length int64, x Exchange, own []string) []string {
	https := q.Header.Get("X-Forwarded-Proto") == "https"
	host, port, scheme := q.Host, "80", "http"
	if https {
		port, scheme = "443", "https"
	}
	if at := strings.LastIndexByte(host, ':'); at >= 0 && !strings.HasSuffix(host, "]") {
		host, port = host[:at], host[at+1:]
	}
	const usual = 16 // those that are not fields or parameters
	v := texts{text: make([]byte, 0, 1024), ends: make([]int, 0, usual+len(q.Header)+len(x.Parameters))}
	v.add("GATEWAY_INTERFACE=CGI/1.1")
	v.add("SERVER_PROTOCOL=HTTP/1.1")
	v.add("SERVER_SOFTWARE=tau")
	v.add("SERVER_NAME=", host)
	v.add("SERVER_PORT=", port)
	v.add("REQUEST_METHOD=", q.Method)
	v.add("SCRIPT_NAME=")
	v.add("PATH_INFO=", q.URL.Path)
	v.add("QUERY_STRING=", q.URL.RawQuery)
	v.add("REQUEST_URI=", q.URL.RequestURI())
	v.add("REMOTE_ADDR=", q.Header.Get("X-Forwarded-For"))
	v.add("HTTP_HOST=", q.Host)
	if length > 0 {
		v.add("CONTENT_LENGTH=", strconv.FormatInt(length, 10))
	}
	if t := q.Header.Get("Content-Type"); t != "" {
		v.add("CONTENT_TYPE=", t)
	}
	v.add("REQUEST_SCHEME=", scheme)
	if https {
		v.add("HTTPS=on")
	}
	var room [16]string
	for _, name := range sorted(q.Header, room[:0]) {
		switch name {
		case "Content-Type", "Content-Length", "Proxy", "Host": // Proxy would be HTTP_PROXY, which means something else
			continue
		}
		if strings.Contains(name, "_") {
			continue // a client's X_Forwarded_For would have the name of the gateway's own field
		}
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		v.named("HTTP_", name)
		for i, value := range q.Header[name] {
			if i > 0 {
				v.more(separator)
			}
			v.more(value)
		}
		v.end()
	}
	for _, name := range sorted(x.Parameters, room[:0]) {
		v.named("PARAM_", name)
		v.more(x.Parameters[name])
		v.end()
	}
	return v.strings(own)
}

// sorted are the names in a map. They lie in room, if that is enough.
func sorted[V any](m map[string]V, room []string) []string {
	for name := range m {
		room = append(room, name)
	}
	slices.Sort(room)
	return room
}

// texts are strings that are made one after another, in one piece of memory.
type texts struct {
	text []byte
	ends []int
}

func (l *texts) add(parts ...string) {
	for _, part := range parts {
		l.more(part)
	}
	l.end()
}

// more adds to the string that is being made. What has zeros loses them: the guest sees strings that end with one.
func (l *texts) more(part string) {
	if strings.IndexByte(part, 0) >= 0 {
		part = strings.ReplaceAll(part, "\x00", "")
	}
	l.text = append(l.text, part...)
}

// named begins a variable whose name comes from outside.
func (l *texts) named(prefix, name string) {
	l.more(prefix)
	for _, r := range name {
		l.text = append(l.text, variable(r))
	}
	l.more("=")
}

func (l *texts) end() { l.ends = append(l.ends, len(l.text)) }

// strings returns all that were made, and others after them.
func (l *texts) strings(others []string) []string {
	all, text, from := make([]string, 0, len(l.ends)+len(others)), string(l.text), 0
	for _, end := range l.ends {
		all = append(all, text[from:end])
		from = end
	}
	return append(all, others...)
}

// variable is a letter of a name as environments have it.
func variable(r rune) byte {
	switch {
	case r >= 'a' && r <= 'z':
		return byte(r - 'a' + 'A')
	case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return byte(r)
	}
	return '_'
}

const (
	// headLenMax bounds the head of an answer, in bytes, and fieldsMax its fields.
	headLenMax, fieldsMax = 32 << 10, 256
)

var errHead = errors.New("its answer does not begin with the head of a CGI response: fields such as Content-Type, then an empty line")

// errField is about a field that is none.
var errField = errors.New("its answer has")

// errShort: there may be more of the head.
var errShort = fmt.Errorf("%w", errHead)

// hasHead reports whether an answer has the empty line that ends its head, of which nothing is before from.
func hasHead(out []byte, from int) bool {
	return bytes.HasPrefix(out, []byte("\n")) || bytes.HasPrefix(out, []byte("\r\n")) || bytes.Contains(out[from:], []byte("\n\n")) || bytes.Contains(out[from:], []byte("\n\r\n"))
}

// parse reads a CGI response.
func parse(out []byte) (a answer, err error) {
	a = answer{status: http.StatusOK}
	for fields := 0; ; fields++ {
		line, rest, found := bytes.Cut(out[:min(len(out), headLenMax)], []byte("\n"))
		if !found && fields <= fieldsMax && len(out) < headLenMax {
			return a, errShort
		}
		if !found || fields > fieldsMax {
			return a, errHead
		}
		out = out[len(line)+1:]
		_ = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			break
		}
		name, value, ok := strings.Cut(string(line), ":")
		if !ok {
			return a, errHead
		}
		if err := a.field(name, strings.TrimSpace(value)); err != nil {
			return a, err
		}
	}
	if len(a.header) == 0 && a.status == http.StatusOK && len(out) == 0 {
		return a, errHead
	}
	if a.get("Location") != "" && a.status == http.StatusOK {
		a.status = http.StatusFound
	}
	a.body = out
	return a, nil
}

// answers reports whether a status is one of an answer: what has none panics where it is written.
func answers(status int) bool { return status >= 200 && status <= 599 }

// field takes a field of a function's answer over. No more are taken than whoever passes the answer on takes: a node that sends a longer head would be
// thought to be broken.
func (a *answer) field(name, value string) error {
	if !validName(name) || strings.ContainsAny(value, "\r\n\x00") {
		return fmt.Errorf("%w a field %.40q", errField, name)
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	if name == "Status" {
		code, _, _ := strings.Cut(value, " ")
		status, err := strconv.Atoi(code)
		if err != nil || !answers(status) {
			return fmt.Errorf("%w the status %.40q", errField, value)
		}
		a.status = status
		return nil
	}
	if a.fieldCount++; a.fieldCount > fieldsMax {
		return fmt.Errorf("%w more than %d fields", errField, fieldsMax)
	}
	if a.headLen += len(name) + len(value); a.headLen > headLenMax {
		return fmt.Errorf("%w a head of more than %d bytes", errField, headLenMax)
	}
	if name == "Content-Length" {
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 {
			a.declared = n
		}
	}
	if ours(name) {
		return nil
	}
	a.header = append(a.header, field{name, value})
	return nil
}

// ours reports whether a field is about the connection, or the cloud's own.
func ours(name string) bool {
	switch name {
	case "Connection", "Content-Length", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "X-Request-Id":
		return true
	}
	return strings.HasPrefix(name, "X-Tau-")
}

func validName(name string) bool {
	if name == "" {
		return false
	}
	for _, r := range name {
		if r > 'z' || r < '!' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) {
			return false
		}
	}
	return true
}
