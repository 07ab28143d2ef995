package project

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Print is a project in one of its forms: the content of each file by its path. Reading it gives the same project, as far as
// the form has all that the project says: a configuration repository has no code beside it, and tau.yaml no private keys.
func (p *Project) Print(form Form) map[string]string {
	files := map[string]string{}
	if form == Mono {
		var w writer
		w.fields(projectTable, Mono, p)
		w.scope(&p.Scope)
		if len(p.Applications) > 0 {
			w.line("applications:")
			w.indent++
			for i := range p.Applications {
				a := &p.Applications[i]
				w.named(a.Name, func() { w.fields(applicationTable, Mono, a); w.scope(&a.Scope) })
			}
			w.indent--
		}
		files[MonoFile] = w.String()
		return files
	}
	var head writer
	head.fields(projectTable, Repository, p)
	files[RepositoryFile] = head.String()
	for i := range p.Applications {
		var w writer
		w.fields(applicationTable, Repository, &p.Applications[i])
		files[path.Join("applications", p.Applications[i].Name, RepositoryFile)] = w.orEmpty()
	}
	p.each(func(ref Ref, r resource) {
		var w writer
		w.fields(kindNamed(ref.Kind), Repository, r)
		files[ref.String()+".yaml"] = w.orEmpty()
	})
	return files
}

// writer writes YAML that needs no library to be read.
type writer struct {
	strings.Builder
	indent int
}

func (w *writer) line(text string) {
	w.WriteString(strings.Repeat("  ", w.indent) + text + "\n")
}

// orEmpty is what was written, or an empty mapping.
func (w *writer) orEmpty() string {
	if w.Len() == 0 {
		return "{}\n"
	}
	return w.String()
}

// named writes what f does below a key, or an empty mapping if that is nothing.
func (w *writer) named(name string, f func()) {
	before := w.Len()
	w.line(quoted(name) + ":")
	after := w.Len()
	w.indent++
	f()
	w.indent--
	if w.Len() == after {
		text := w.String()[:before]
		w.Reset()
		w.WriteString(text)
		w.line(quoted(name) + ": {}")
	}
}

func (w *writer) scope(s *Scope) {
	for _, t := range kinds {
		list := t.list(s)
		if len(list) == 0 {
			continue
		}
		w.line(t.kind + ":")
		w.indent++
		for _, r := range list {
			w.named(r.base().Name, func() { w.fields(t, Mono, r) })
		}
		w.indent--
	}
}

// said is one field that is written.
type said struct {
	path  []string
	value string
	items []string // of a list, already quoted
	keys  []string // of a mapping, "key: value"
}

// fields writes the fields that say something.
func (w *writer) fields(t *table, form Form, r any) {
	var all []said
	for i := range t.fields {
		f := &t.fields[i]
		at := f.path(form)
		if f.writeAs != nil && form == Repository {
			at = f.writeAs(r)
		}
		if f.in == nil || at == "" {
			continue
		}
		if s, says := sayOf(f, f.in(r)); says {
			s.path = strings.Split(at, ".")
			all = append(all, s)
		}
	}
	w.tree(all)
}

// tree writes fields, those with a common first key below it.
func (w *writer) tree(all []said) {
	for len(all) > 0 {
		first := all[0]
		if len(first.path) == 1 {
			w.say(first)
			all = all[1:]
			continue
		}
		var below, rest []said
		for _, s := range all {
			if len(s.path) > 1 && s.path[0] == first.path[0] {
				s.path = s.path[1:]
				below = append(below, s)
			} else {
				rest = append(rest, s)
			}
		}
		w.line(first.path[0] + ":")
		w.indent++
		w.tree(below)
		w.indent--
		all = rest
	}
}

func (w *writer) say(s said) {
	switch {
	case s.items != nil:
		w.line(s.path[0] + ": [" + strings.Join(s.items, ", ") + "]")
	case s.keys != nil:
		w.line(s.path[0] + ":")
		for _, key := range s.keys {
			w.line("  " + key)
		}
	default:
		w.line(s.path[0] + ": " + s.value)
	}
}

// sayOf is what a field says, unless that is what is meant without it.
func sayOf(f *field, v any) (s said, says bool) {
	switch v := v.(type) {
	case *string:
		s.value = quoted(*v)
		return s, *v != "" && *v != f.initial
	case *bool:
		s.value = strconv.FormatBool(*v)
		return s, s.value != f.initial
	case *int:
		s.value = strconv.Itoa(*v)
		return s, *v != 0
	case *Size:
		s.value = v.String()
		return s, *v != 0 && s.value != f.initial
	case *Duration:
		s.value = v.String()
		return s, *v != 0 && s.value != f.initial
	case *[]string:
		for _, item := range *v {
			s.items = append(s.items, quoted(item))
		}
		return s, len(*v) > 0 && !slices.Equal(*v, []string{f.initial})
	case *map[string]string:
		for _, key := range slices.Sorted(maps.Keys(*v)) {
			s.keys = append(s.keys, quoted(key)+": "+quotedValue((*v)[key]))
		}
		return s, len(*v) > 0
	case *map[string]Cloud:
		for _, key := range slices.Sorted(maps.Keys(*v)) {
			s.keys = append(s.keys, quoted(key)+": {account: "+quotedValue((*v)[key].Account)+", plan: "+quotedValue((*v)[key].Plan)+"}")
		}
		return s, len(*v) > 0
	}
	panic("project: a field of a type that is not written: " + f.doc)
}

// plain is text that means the same with and without quotes.
var plain = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9/._@-]*$`)

func quoted(text string) string {
	if plain.MatchString(text) && !slices.Contains([]string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(text)) {
		return text
	}
	return quotedValue(text)
}

// quotedValue is text in double quotes, as YAML reads it.
func quotedValue(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f || r == 0x85 || r == '\u2028' || r == '\u2029' || r == '\uFEFF':
			b.WriteString(`\u` + strings.Repeat("0", 4-len(strconv.FormatInt(int64(r), 16))) + strconv.FormatInt(int64(r), 16))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
