package web

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// variables is a request as CGI/1.1 has it. Parameters of the path are PARAM_NAME.
func variables(q *http.Request, length int64, x Exchange) []string {
	https := q.Header.Get("X-Forwarded-Proto") == "https"
	host, port := q.Host, "80"
	if https {
		port = "443"
	}
	if at := strings.LastIndexByte(host, ':'); at >= 0 && !strings.HasSuffix(host, "]") {
		host, port = host[:at], host[at+1:]
	}
	env := append(make([]string, 0, 32), "GATEWAY_INTERFACE=CGI/1.1", "SERVER_PROTOCOL=HTTP/1.1", "SERVER_SOFTWARE=tau", "SERVER_NAME="+host, "SERVER_PORT="+port,
		"REQUEST_METHOD="+q.Method, "SCRIPT_NAME=", "PATH_INFO="+q.URL.Path, "QUERY_STRING="+q.URL.RawQuery, "REQUEST_URI="+q.URL.RequestURI(),
		"REMOTE_ADDR="+q.Header.Get("X-Forwarded-For"), "HTTP_HOST="+q.Host)
	if length > 0 {
		env = append(env, "CONTENT_LENGTH="+strconv.FormatInt(length, 10))
	}
	if t := q.Header.Get("Content-Type"); t != "" {
		env = append(env, "CONTENT_TYPE="+t)
	}
	if https {
		env = append(env, "REQUEST_SCHEME=https", "HTTPS=on")
	} else {
		env = append(env, "REQUEST_SCHEME=http")
	}
	for _, name := range slices.Sorted(maps.Keys(q.Header)) {
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
		env = append(env, "HTTP_"+variable(name)+"="+strings.Join(q.Header[name], separator))
	}
	for _, name := range slices.Sorted(maps.Keys(x.Parameters)) {
		env = append(env, "PARAM_"+variable(name)+"="+x.Parameters[name])
	}
	for i := range env {
		env[i] = strings.ReplaceAll(env[i], "\x00", "") // the guest sees strings that end with it
	}
	return env
}

// variable is a name as environments have it.
func variable(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
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

// parse reads a CGI response.
func parse(out []byte) (a answer, err error) {
	a = answer{status: http.StatusOK, header: http.Header{}}
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
	if a.header.Get("Location") != "" && a.status == http.StatusOK {
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
	if n, err := strconv.ParseInt(value, 10, 64); name == "Content-Length" && err == nil && n > 0 {
		a.declared = n
	}
	if ours(name) {
		return nil
	}
	a.header[name] = append(a.header[name], value)
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
