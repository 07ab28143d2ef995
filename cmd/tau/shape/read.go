package shape

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/yamltree"
)

// fileLenMax bounds the file, in bytes, and entriesMax a list in it.
const (
	fileLenMax = 64 << 10
	entriesMax = 64
)

// Load reads a file. Of a file that is wrong it tells all mistakes, with their places ([scenario.Errors]).
func Load(path string) (*Shape, error) {
	s, _, err := LoadPlaced(path)
	return s, err
}

// LoadPlaced is Load that says where entries of lists are.
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

// Places are those of the entries of lists, by key, in the order of the list.
type Places map[string][]Place

// ReadPlaced is Read that says where entries of lists are.
func ReadPlaced(path string, raw []byte) (*Shape, Places, error) {
	r := &reader{file: path, shape: Defaults(), seen: map[string]*token.Position{}, places: Places{}}
	if root := r.parse(raw); root != nil {
		r.fields(root)
		r.whole(root.GetToken().Position)
	}
	if len(r.errors) > 0 {
		slices.SortStableFunc(r.errors, func(a, b *scenario.Error) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
		})
		return nil, nil, r.errors
	}
	return r.shape, r.places, nil
}

type reader struct {
	file   string
	shape  *Shape
	seen   map[string]*token.Position // keys
	places Places
	errors scenario.Errors
}

func (r *reader) fail(at *token.Position, hint, format string, args ...any) {
	line, col := 1, 1
	if at != nil {
		line, col = max(1, at.Line), max(1, at.Column)
	}
	r.errors = append(r.errors, &scenario.Error{File: r.file, Line: line, Col: col, What: fmt.Sprintf(format, args...), Hint: hint})
}

// parse is the mapping that a file is.
func (r *reader) parse(raw []byte) (root ast.Node) {
	if len(raw) > fileLenMax {
		r.fail(nil, "it is written by tau config generate", "the file has more than %d bytes", fileLenMax)
		return nil
	}
	defer func() {
		if p := recover(); p != nil { // the library's bug, still the user's file
			r.fail(nil, "simplify the YAML of the file", "the YAML library gave up: %v", p)
			root = nil
		}
	}()
	file, err := parser.Parse(lexer.Tokenize(string(raw)), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var at *token.Position
		message := err.Error()
		if syntax := yaml.Error(nil); errors.As(err, &syntax) {
			message = syntax.GetMessage()
			if t := syntax.GetToken(); t != nil {
				at = t.Position
			}
		}
		r.fail(at, "check the indentation and the punctuation around this place", "not valid YAML: %s", message)
		return nil
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		r.fail(nil, "tau config generate writes one", "expected one mapping of keys")
		return nil
	}
	return file.Docs[0].Body
}

func (r *reader) fields(root ast.Node) {
	var pairs []*ast.MappingValueNode
	switch n := root.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		r.fail(root.GetToken().Position, "write key: value", "expected a mapping of keys")
		return
	}
	for _, p := range pairs {
		t := p.Key.GetToken()
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == t.Value })
		switch {
		case i < 0:
			r.fail(t.Position, yamltree.Suggest(t.Value, keys()), "unknown key %q", t.Value)
		case r.seen[t.Value] != nil:
			r.fail(t.Position, "remove one of them", "%s is there twice", t.Value)
		default:
			r.seen[t.Value] = t.Position
			r.field(&fields[i], p.Value)
		}
	}
}

func keys() (list []string) {
	for _, f := range fields {
		list = append(list, f.key)
	}
	return list
}

func (r *reader) field(f *field, v ast.Node) {
	at := v.GetToken().Position
	if f.text != nil {
		if text, ok := r.scalar(f, v); ok {
			*f.text(r.shape) = text
		}
		return
	}
	n, ok := v.(*ast.SequenceNode)
	if !ok {
		r.fail(at, fmt.Sprintf("write %s: [a, b]", f.key), "%s: expected a list", f.key)
		return
	}
	if len(n.Values) > entriesMax {
		r.fail(at, "nothing needs that", "%s: more than %d entries", f.key, entriesMax)
		return
	}
	list := []string{}
	for _, item := range n.Values {
		text, ok := r.scalar(f, item)
		if ok && slices.Contains(list, text) {
			r.fail(item.GetToken().Position, "remove one of them", "%s: %q is there twice", f.key, text)
		}
		if ok {
			list = append(list, text)
			at := item.GetToken().Position
			r.places[f.key] = append(r.places[f.key], Place{at.Line, at.Column})
		}
	}
	*f.list(r.shape) = list
}

// scalar is a text that passes the field's check.
func (r *reader) scalar(f *field, v ast.Node) (string, bool) {
	at, text := v.GetToken().Position, ""
	switch n := v.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		text = v.GetToken().Value
	case *ast.NullNode:
		r.fail(at, f.doc, "%s has no value", f.key)
		return "", false
	default:
		r.fail(at, f.doc, "%s: expected a text", f.key)
		return "", false
	}
	if what, hint := f.check(text); what != "" {
		r.fail(at, hint, "%s: %s", f.key, what)
		return "", false
	}
	return text, true
}

// whole checks what is missing, and what does not go together.
func (r *reader) whole(root *token.Position) {
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
