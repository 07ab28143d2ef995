package shape

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/taucloud/tau/yamltree"
)

// entriesMax bounds a list in the file.
const entriesMax = 64

// dialect bounds the file.
var dialect = yamltree.Dialect{
	LenMax: 64 << 10, Nesting: 4, Keys: 64,
	Large: "it is written by tau config generate", Empty: "tau config generate writes one", Excess: "nothing needs that",
	Alias: "write the value out where it is used", Several: "a node has one configuration: remove what follows",
}

// Load reads a file. Of a file that is wrong it tells all mistakes, with their places ([yamltree.Errors]).
func Load(path string) (*Shape, error) {
	s, _, err := LoadPlaced(path)
	return s, err
}

// LoadPlaced is Load that says where values are.
func LoadPlaced(path string) (*Shape, Places, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("there is no %s: tau config generate makes one; --root says where", path)
	}
	if err != nil {
		return nil, nil, err
	}
	return ReadPlaced(path, raw)
}

// Read reads the content of a file.
func Read(path string, raw []byte) (*Shape, error) {
	s, _, err := ReadPlaced(path, raw)
	return s, err
}

// Place is where something is in a file, from 1.
type Place struct{ Line, Col int }

// Places are those of values, by key: one, or those of the entries of a list, in their order.
type Places map[string][]Place

// ReadPlaced is Read that says where values are.
func ReadPlaced(path string, raw []byte) (*Shape, Places, error) {
	root, errs := yamltree.Read(path, raw, dialect)
	r := &reader{file: path, shape: Defaults(), seen: map[string]*yamltree.Value{}, secret: map[int]bool{}, places: Places{}, errors: errs}
	if root != nil {
		r.fields(root)
		r.whole(root)
	}
	if len(r.errors) == 0 {
		return r.shape, r.places, nil
	}
	slices.SortStableFunc(r.errors, func(a, b *yamltree.Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	r.show(string(raw))
	return nil, nil, r.errors
}

type reader struct {
	file   string
	shape  *Shape
	seen   map[string]*yamltree.Value // keys
	secret map[int]bool               // lines that are not shown
	shown  map[*yamltree.Error]bool
	places Places
	errors yamltree.Errors
}

func (r *reader) fail(at *yamltree.Value, hint, format string, args ...any) *yamltree.Error {
	e := &yamltree.Error{File: r.file, Line: at.Line, Col: at.Col, What: fmt.Sprintf(format, args...), Hint: hint}
	r.errors = append(r.errors, e)
	return e
}

// about is fail of what a field has, whose line is shown with a caret below what is wrong, if there is no secret in it.
func (r *reader) about(f *field, at *yamltree.Value, hint, format string, args ...any) {
	e := r.fail(at, hint, format, args...)
	if r.shown == nil {
		r.shown = map[*yamltree.Error]bool{}
	}
	r.shown[e] = !f.secret
}

// show gives mistakes the lines that they are in. What may be a secret is in none of them: the value of such a key, or of one
// that nobody knows, which may be misspelt.
func (r *reader) show(text string) {
	lines := strings.Split(text, "\n")
	for _, e := range r.errors {
		if r.shown[e] && !r.secret[e.Line] && e.Line <= len(lines) {
			e.Source = lines[e.Line-1]
		}
	}
}

func (r *reader) fields(root *yamltree.Value) {
	if root.Kind != yamltree.Mapping {
		r.fail(root, "write key: value", "expected a mapping of keys, found %s", root)
		return
	}
	for _, entry := range root.Entries {
		name := entry.Key.Text
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == name })
		if i < 0 || fields[i].secret {
			r.secret[entry.Key.Line], r.secret[entry.Value.Line] = true, true
		}
		if i < 0 {
			r.fail(entry.Key, yamltree.Suggest(name, keys()), "unknown key %s", yamltree.Quote(name))
			continue
		}
		r.seen[name] = entry.Key
		r.field(&fields[i], entry.Value)
	}
}

func keys() (list []string) {
	for _, f := range fields {
		list = append(list, f.key)
	}
	return list
}

func (r *reader) field(f *field, v *yamltree.Value) {
	if f.text != nil {
		if text, ok := r.scalar(f, v); ok {
			*f.text(r.shape) = text
			r.places[f.key] = []Place{{v.Line, v.Col}}
		}
		return
	}
	if v.Kind != yamltree.Sequence {
		r.about(f, v, fmt.Sprintf("write %s: [a, b]", f.key), "%s: expected a list", f.key)
		return
	}
	if len(v.Items) > entriesMax {
		r.about(f, v, "nothing needs that", "%s: more than %d entries", f.key, entriesMax)
		return
	}
	list := []string{}
	for _, item := range v.Items {
		text, ok := r.scalar(f, item)
		if ok && slices.Contains(list, text) {
			r.about(f, item, "remove one of them", "%s: %q is there twice", f.key, text)
		}
		if ok {
			list = append(list, text)
			r.places[f.key] = append(r.places[f.key], Place{item.Line, item.Col})
		}
	}
	*f.list(r.shape) = list
}

// scalar is a text that passes the field's check.
func (r *reader) scalar(f *field, v *yamltree.Value) (string, bool) {
	switch v.Kind {
	case yamltree.Scalar:
	case yamltree.Null:
		r.about(f, v, f.doc, "%s has no value", f.key)
		return "", false
	default:
		r.about(f, v, f.doc, "%s: expected a text", f.key)
		return "", false
	}
	if what, hint := f.check(v.Text); what != "" {
		r.about(f, v, hint, "%s: %s", f.key, what)
		return "", false
	}
	return v.Text, true
}

// whole checks what is missing, and what does not go together.
func (r *reader) whole(root *yamltree.Value) {
	for _, f := range fields {
		if f.required && (r.seen[f.key] == nil || f.list != nil && len(*f.list(r.shape)) == 0 && len(r.errors) == 0) {
			at := r.seen[f.key]
			if at == nil {
				at = root
			}
			r.fail(at, f.doc, "%s is missing", f.key)
		}
	}
	if len(r.errors) > 0 || r.shape.Invitation == "" {
		return
	}
	if what, hint := r.shape.Fits(); what != "" {
		r.fail(r.seen["invitation"], hint, "invitation: %s", what)
	}
}
