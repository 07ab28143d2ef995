package route

import (
	"slices"
	"strings"
)

// Tree finds what answers a request, of many claims, without looking at each: it agrees with [Best]. A lookup visits
// each segment of a host's patterns once at most, whatever the path. The zero value is empty; a tree is not changed while
// others look into it.
type Tree[T any] struct{ hosts map[string]*branch[T] }

// branch is what patterns have in common up to a segment.
type branch[T any] struct {
	literals  map[string]*branch[T]
	parameter *branch[T]
	// ends are the claims of patterns that end here, rests those of patterns with a wildcard here; sorted by method.
	ends, rests []leaf[T]
}

// leaf is a claim's answer to one method.
type leaf[T any] struct {
	method string
	found  *Found[T]
}

// Found is what a tree has for a request.
type Found[T any] struct {
	Claim   Claim
	Value   T
	pattern Pattern
}

// Add puts in what answers a claim, of which the host is in lower case. Of two claims of one host, key and method the
// first stays. A claim whose path is no pattern is left out, as [Best] does.
func (t *Tree[T]) Add(c Claim, value T) {
	p, err := Parse(c.Path)
	if err != nil {
		return
	}
	if t.hosts == nil {
		t.hosts = map[string]*branch[T]{}
	}
	at := t.hosts[c.Host]
	if at == nil {
		at = &branch[T]{}
		t.hosts[c.Host] = at
	}
	found := &Found[T]{Claim: c, Value: value, pattern: p}
	for _, s := range p.segments {
		switch s.kind {
		case wildcard:
			at.rests = with(at.rests, c.Methods, found)
			return
		case parameter:
			if at.parameter == nil {
				at.parameter = &branch[T]{}
			}
			at = at.parameter
		default:
			if at.literals == nil {
				at.literals = map[string]*branch[T]{}
			}
			if at.literals[s.text] == nil {
				at.literals[s.text] = &branch[T]{}
			}
			at = at.literals[s.text]
		}
	}
	at.ends = with(at.ends, c.Methods, found)
}

func with[T any](leaves []leaf[T], methods []string, found *Found[T]) []leaf[T] {
	for _, m := range methods {
		i, taken := slices.BinarySearchFunc(leaves, m, func(l leaf[T], m string) int { return strings.Compare(l.method, m) })
		if !taken {
			leaves = slices.Insert(leaves, i, leaf[T]{m, found})
		}
	}
	return leaves
}

// Drop takes a host out.
func (t *Tree[T]) Drop(host string) { delete(t.hosts, host) }

// Has reports whether anything is claimed of a host.
func (t *Tree[T]) Has(host string) bool { return t.hosts[host] != nil }

// Find returns what answers a request: the most specific claim that has the method. The path is decoded. If there is
// none, methods are those with which the path would be answered, sorted.
func (t *Tree[T]) Find(host, method, path string) (found *Found[T], methods []string) {
	at := t.hosts[host]
	if at == nil || !strings.HasPrefix(path, "/") {
		return nil, nil
	}
	parts := strings.Split(path[1:], "/")
	if found = at.find(parts, method); found != nil {
		return found, nil
	}
	at.each(parts, func(leaves []leaf[T]) {
		for _, l := range leaves {
			methods = append(methods, l.method)
		}
	})
	slices.Sort(methods)
	return nil, slices.Compact(methods)
}

// find tries what is more specific first: a literal before a parameter, both before the end and a wildcard. A branch is
// as deep as its segment, so each is visited once at most.
func (b *branch[T]) find(parts []string, method string) *Found[T] {
	if len(parts) == 0 {
		if f := has(b.ends, method); f != nil {
			return f
		}
		return has(b.rests, method)
	}
	if next := b.literals[parts[0]]; next != nil {
		if f := next.find(parts[1:], method); f != nil {
			return f
		}
	}
	if b.parameter != nil && parts[0] != "" {
		if f := b.parameter.find(parts[1:], method); f != nil {
			return f
		}
	}
	return has(b.rests, method)
}

func has[T any](leaves []leaf[T], method string) *Found[T] {
	i, found := slices.BinarySearchFunc(leaves, method, func(l leaf[T], m string) int { return strings.Compare(l.method, m) })
	if !found {
		return nil
	}
	return leaves[i].found
}

// each calls f with the claims of all patterns that match.
func (b *branch[T]) each(parts []string, f func(leaves []leaf[T])) {
	f(b.rests)
	if len(parts) == 0 {
		f(b.ends)
		return
	}
	if next := b.literals[parts[0]]; next != nil {
		next.each(parts[1:], f)
	}
	if b.parameter != nil && parts[0] != "" {
		b.parameter.each(parts[1:], f)
	}
}

// Parameters are those of a path that was found.
func (f *Found[T]) Parameters(path string) map[string]string {
	parameters, _ := f.pattern.Match(path)
	return parameters
}

// Rest is the part of a path that the claim's wildcard stands for, without a slash before it; "" without one.
func (f *Found[T]) Rest(path string) string {
	last := len(f.pattern.segments) - 1
	if f.pattern.segments[last].kind != wildcard {
		return ""
	}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	return strings.Join(parts[min(last, len(parts)):], "/")
}

// Root reports whether a path is that of the claim's wildcard itself, without a slash at its end: "/docs" of "/docs/*".
func (f *Found[T]) Root(path string) bool {
	last := len(f.pattern.segments) - 1
	return f.pattern.segments[last].kind == wildcard && len(strings.Split(strings.TrimPrefix(path, "/"), "/")) == last
}
