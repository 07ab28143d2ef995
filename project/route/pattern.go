// Package route is what a project claims of hosts, as pure data: patterns of paths with a total order of how specific
// they are, claims, and who of several claimants owns what.
package route

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pattern is a path of literal segments, parameters "{id}" that stand for one segment which is not empty, and at its end
// perhaps a wildcard, "{rest...}" or "*", that stands for any number of segments, none included.
type Pattern struct{ segments []segment }

type segment struct {
	kind kind
	text string // of a literal: itself; else the name, "" without one
}

type kind uint8

// In the order of how specific they are; the end of a path comes before any wildcard.
const (
	literal kind = iota
	parameter
	end
	wildcard
)

// Bounds of a pattern.
const (
	LenMax      = 256 // bytes
	segmentsMax = 32
)

// Expression is what patterns look like, for schemas; Parse says more.
const Expression = `^/[^?#%\s\\]*$`

var parameterForm = regexp.MustCompile(`^\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}$`)

// Parse reads a pattern. What is wrong is told with a remedy.
func Parse(text string) (Pattern, error) {
	switch {
	case !strings.HasPrefix(text, "/"):
		return Pattern{}, errors.New("a path begins with /")
	case len(text) > LenMax:
		return Pattern{}, fmt.Errorf("a path has at most %d bytes", LenMax)
	}
	for _, r := range text { // of what cannot be seen two paths could look like one
		if r == ' ' || !unicode.IsPrint(r) || r == utf8.RuneError || strings.ContainsRune(`?#%\`, r) {
			return Pattern{}, fmt.Errorf("a path has no %+q: write characters as they are, those that are seen, without a query", r)
		}
	}
	parts := strings.Split(text[1:], "/")
	if len(parts) > segmentsMax {
		return Pattern{}, fmt.Errorf("a path has at most %d segments", segmentsMax)
	}
	var p Pattern
	for i, part := range parts {
		s, err := parseSegment(part, i == len(parts)-1)
		if err != nil {
			return Pattern{}, err
		}
		if s.kind != literal && s.text != "" && slices.ContainsFunc(p.segments, func(o segment) bool { return o.kind != literal && o.text == s.text }) {
			return Pattern{}, fmt.Errorf("{%s} is there twice: give the parameters different names", s.text)
		}
		p.segments = append(p.segments, s)
	}
	return p, nil
}

func parseSegment(text string, last bool) (segment, error) {
	var m []string
	if strings.HasPrefix(text, "{") {
		m = parameterForm.FindStringSubmatch(text)
	}
	switch {
	case text == "*" && last:
		return segment{kind: wildcard}, nil
	case m != nil && m[2] == "":
		return segment{parameter, m[1]}, nil
	case m != nil && last:
		return segment{wildcard, m[1]}, nil
	case m != nil:
		return segment{}, fmt.Errorf("{%s...} stands for all that follows: put it at the end", m[1])
	case strings.ContainsAny(text, "{}*"):
		return segment{}, fmt.Errorf("%q: a parameter is a whole segment, {id}; * and {rest...} stand at the end", text)
	case text == "." || text == "..":
		return segment{}, fmt.Errorf("a path has no %q", text)
	case text == "" && !last:
		return segment{}, errors.New("a path has no //")
	}
	return segment{literal, text}, nil
}

// Prefix is the pattern of all that is at or below a path of literals.
func Prefix(text string) (Pattern, error) {
	p, err := Parse(text)
	if err != nil {
		return p, err
	}
	for _, s := range p.segments {
		if s.kind != literal {
			return Pattern{}, errors.New("a website's path has no parameters: what is below it is served anyway")
		}
	}
	if last := len(p.segments) - 1; p.segments[last].text == "" {
		p.segments = p.segments[:last]
	}
	p.segments = append(p.segments, segment{kind: wildcard})
	if _, err := Parse(p.String()); err != nil { // what matches all below it is longer
		return Pattern{}, fmt.Errorf("a website's path has at most %d bytes and %d segments, without a / at its end", LenMax-len("/*"), segmentsMax-1)
	}
	return p, nil
}

// String is the pattern's text, by which Parse makes it again.
func (p Pattern) String() string { return p.text(true) }

// Key is the text without names: patterns of equal keys match the same paths.
func (p Pattern) Key() string { return p.text(false) }

func (p Pattern) text(names bool) string {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		name := ""
		if names {
			name = s.text
		}
		switch {
		case s.kind == literal:
			b.WriteString(s.text)
		case s.kind == wildcard && name == "":
			b.WriteByte('*')
		case s.kind == wildcard:
			b.WriteString("{" + name + "...}")
		default:
			b.WriteString("{" + name + "}")
		}
	}
	return b.String()
}

// Match reports whether a path, with slashes and decoded, is one that the pattern stands for, and with which
// parameters.
func (p Pattern) Match(path string) (parameters map[string]string, ok bool) {
	if !strings.HasPrefix(path, "/") {
		return nil, false
	}
	parts := strings.Split(path[1:], "/")
	parameters = map[string]string{}
	for i, s := range p.segments {
		if s.kind == wildcard {
			if s.text != "" {
				parameters[s.text] = strings.Join(parts[min(i, len(parts)):], "/")
			}
			return parameters, true
		}
		if i >= len(parts) || s.kind == literal && parts[i] != s.text || s.kind == parameter && parts[i] == "" {
			return nil, false
		}
		if s.kind == parameter {
			parameters[s.text] = parts[i]
		}
	}
	return parameters, len(parts) == len(p.segments)
}

// Compare is the order in which patterns are tried: of all that match a path the first one counts. It decides at the
// first segment that differs: a literal comes before a parameter, and both before a wildcard. Patterns of equal keys
// are equal.
func (p Pattern) Compare(q Pattern) int {
	for i := range max(len(p.segments), len(q.segments)) {
		a, b := p.at(i), q.at(i)
		if c := cmp.Compare(a.kind, b.kind); c != 0 {
			return c
		}
		if a.kind == literal {
			if c := strings.Compare(a.text, b.text); c != 0 {
				return c
			}
		}
	}
	return 0
}

func (p Pattern) at(i int) segment {
	if i < len(p.segments) {
		return p.segments[i]
	}
	return segment{kind: end}
}
