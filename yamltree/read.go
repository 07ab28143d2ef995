package yamltree

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Dialect is what kind of files is read: their bounds, and the words of messages.
type Dialect struct {
	// LenMax is in bytes: a larger file is refused before it is parsed. Nesting is how deep lists and mappings
	// may nest, at most 64. Keys is how many keys a mapping may have: the YAML library needs time that grows with
	// their square.
	LenMax, Nesting, Keys int
	// Hints, for a file that is too large or empty, nests too deep or has too many keys, has an alias or is several.
	Large, Empty, Excess, Alias, Several string
}

// byteOrderMark is what some editors begin a UTF-8 file with.
var byteOrderMark = []byte("\uFEFF")

// Read turns a file into values. Without an error there is a value; with errors there may be one as well, so that a
// caller can find more that is wrong.
func Read(file string, data []byte, dialect Dialect) (*Value, Errors) {
	r := &reader{file: file, dialect: dialect}
	return r.read(data), r.errors
}

// reader reads one file.
type reader struct {
	file    string
	dialect Dialect
	errors  Errors
}

func (r *reader) failAt(line, col int, hint, format string, args ...any) {
	r.errors = append(r.errors, &Error{File: r.file, Line: line, Col: col, What: fmt.Sprintf(format, args...), Hint: hint})
}

func (r *reader) read(data []byte) *Value {
	data = bytes.TrimPrefix(data, byteOrderMark)
	if !r.acceptable(data) {
		return nil
	}
	file := r.parse(string(data))
	if file == nil {
		return nil
	}
	var root ast.Node
	for _, doc := range file.Docs {
		root = cmp.Or(doc.Body, root)
	}
	if root == nil {
		r.failAt(1, 1, r.dialect.Empty, "the file is empty")
		return nil
	}
	return r.convert(root, 0)
}

// TooLarge is what is wrong with a file of more bytes than a dialect allows.
func TooLarge(file string, size int64, dialect Dialect) Errors {
	r := &reader{file: file}
	r.failAt(1, 1, dialect.Large, "the file has %d bytes, expected at most %d", size, dialect.LenMax)
	return r.errors
}

// acceptable checks the file before it is parsed.
func (r *reader) acceptable(data []byte) bool {
	if len(data) > r.dialect.LenMax {
		r.errors = append(r.errors, TooLarge(r.file, int64(len(data)), r.dialect)...)
		return false
	}
	line := 1
	for len(data) > 0 {
		text, rest, _ := bytes.Cut(data, []byte("\n"))
		for col := 1; len(text) > 0; col++ {
			c, size := utf8.DecodeRune(text)
			if c == utf8.RuneError && size == 1 {
				r.failAt(line, col, "save the file as UTF-8", "byte 0x%02x is not UTF-8", text[0])
				return false
			}
			switch {
			case control(c) && c != '\t' && c != '\r':
				r.failAt(line, col, "remove it", "control character %U", c)
				return false
			case turns(c):
				r.failAt(line, col, `remove it, or write it so that it can be seen, as "\u202e" in double quotes`, "character %U, which changes the direction of writing", c)
				return false
			}
			text = text[size:]
		}
		data = rest
		line++
	}
	return true
}

// parse runs the YAML library over a file that guard has accepted.
func (r *reader) parse(text string) (file *ast.File) {
	defer func() {
		if p := recover(); p != nil { // the library's bug, still the user's file
			r.failAt(1, 1, "simplify the YAML of the file", "the YAML library gave up: %v", p)
			file = nil
		}
	}()
	tokens := lexer.Tokenize(text)
	if !r.guard(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err == nil {
		return file
	}
	line, col, message := 1, 1, err.Error()
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		message = syntax.GetMessage()
		if t := syntax.GetToken(); t != nil && t.Position != nil {
			line, col = max(t.Position.Line, 1), max(t.Position.Column, 1)
		}
	}
	r.failAt(line, col, syntaxHint(message), "not valid YAML: %s", message)
	return nil
}

func syntaxHint(message string) string {
	switch {
	case strings.Contains(message, "tab character"), strings.Contains(message, "\t"):
		return "indent with spaces"
	case strings.Contains(message, "mapping value is not allowed"):
		return `put text that contains ": " in quotes`
	case strings.Contains(message, "end token"), strings.Contains(message, "must be specified"),
		strings.Contains(message, "end character"):
		return "close what was opened here"
	}
	return "check the indentation and the punctuation around this place"
}

// guard refuses the parts of YAML that files for people do not need and that can make a file misleading,
// or its parsing endless.
func (r *reader) guard(tokens token.Tokens) bool {
	depth, run, header := 0, 0, false
	var keys keyCounter
	for i, t := range tokens {
		what, hint := "", ""
		switch t.Type {
		case token.AnchorType:
			what, hint = "anchors (&name) are not supported", "write the value out where it is used"
		case token.AliasType:
			what, hint = "aliases (*name) are not supported", r.dialect.Alias
		case token.MergeKeyType:
			what, hint = "merge keys (<<) are not supported", "write the keys out"
		case token.TagType:
			what, hint = "tags ("+Quote(t.Value)+") are not supported", "remove the tag"
		case token.MappingKeyType:
			what, hint = "complex keys (?) are not supported", "write key: value"
		case token.DirectiveType:
			what, hint = "directives (%) are not supported", "remove the line"
		case token.DocumentHeaderType:
			if header || i > 0 {
				what, hint = "a second document begins", r.dialect.Several
			}
			header = true
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		}
		if t.Type == token.SequenceEntryType && i > 0 && tokens[i-1].Type == t.Type {
			run++
		} else {
			run = 0
		}
		if keys.add(t, depth) > r.dialect.Keys {
			what, hint = fmt.Sprintf("a mapping with more than %d keys", r.dialect.Keys), r.dialect.Excess
		}
		if depth+run > r.dialect.Nesting {
			what, hint = fmt.Sprintf("lists and mappings are nested more than %d deep", r.dialect.Nesting), r.dialect.Excess
		}
		if what != "" {
			r.failAt(t.Position.Line, t.Position.Column, hint, "%s", what)
			return false
		}
	}
	return true
}

// nestingMax is the highest Nesting of a dialect.
const nestingMax = 64

// keyCounter counts the keys of mappings: of those that are open at each depth
// of brackets, or at each column outside of them.
type keyCounter struct {
	flow  [nestingMax + 1]int
	block map[int]int
}

// add returns how many keys the mapping around t has so far.
func (k *keyCounter) add(t *token.Token, depth int) int {
	if depth < 0 || depth > nestingMax {
		return 0
	}
	switch {
	case t.Type == token.MappingStartType:
		k.flow[depth] = 0
	case t.Type == token.MappingValueType && depth > 0:
		k.flow[depth]++
		return k.flow[depth]
	case t.Type == token.SequenceEntryType && depth == 0:
		k.close(t.Position.Column)
	case t.Type == token.MappingValueType && depth == 0 && t.Prev != nil:
		col := t.Prev.Position.Column
		k.close(col)
		if k.block == nil {
			k.block = map[int]int{}
		}
		k.block[col]++
		return k.block[col]
	}
	return 0
}

// close forgets the mappings that are further in than a column.
func (k *keyCounter) close(col int) {
	for c := range k.block {
		if c > col {
			delete(k.block, c)
		}
	}
}

// convert makes a value of a node of the library's tree. Its recursion is
// bounded by the dialect.
func (r *reader) convert(n ast.Node, depth int) *Value {
	v := &Value{Line: 1, Col: 1}
	if t := n.GetToken(); t != nil && t.Position != nil {
		v.Line, v.Col = max(t.Position.Line, 1), max(t.Position.Column, 1)
	}
	if depth > r.dialect.Nesting {
		r.failAt(v.Line, v.Col, r.dialect.Excess, "lists and mappings are nested more than %d deep", r.dialect.Nesting)
		return v
	}
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.SequenceNode:
		v.Kind = Sequence
		for _, item := range n.Values {
			v.Items = append(v.Items, r.convert(item, depth+1))
		}
	case *ast.MappingNode:
		v.Kind = Mapping
		r.convertEntries(v, n.Values, depth)
	case *ast.MappingValueNode:
		v.Kind = Mapping
		r.convertEntries(v, []*ast.MappingValueNode{n}, depth)
	case *ast.StringNode:
		v.Kind, v.Text = Scalar, n.Value
		v.Quoted = n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType
	case *ast.LiteralNode:
		v.Kind, v.Text, v.Quoted = Scalar, n.Value.Value, true
	case ast.ScalarNode:
		v.Kind, v.Text = Scalar, n.GetToken().Value
	default:
		r.failAt(v.Line, v.Col, "use plain keys, lists and values", "%s is not supported here", n.Type())
	}
	return v
}

func (r *reader) convertEntries(v *Value, nodes []*ast.MappingValueNode, depth int) {
	seen := make(map[string]*Value, len(nodes))
	for i, n := range nodes {
		key := r.convert(n.Key, depth+1)
		if i == 0 { // a mapping begins where its first key does
			v.Line, v.Col = key.Line, key.Col
		}
		if key.Kind != Scalar {
			r.failAt(key.Line, key.Col, "a key is a plain word", "%s is not a key", key)
			continue
		}
		if first := seen[key.Text]; first != nil {
			r.failAt(key.Line, key.Col, fmt.Sprintf("the first one is in line %d; keep one of them", first.Line), "key %s is given twice", Quote(key.Text))
			continue
		}
		seen[key.Text] = key
		v.Entries = append(v.Entries, Entry{Key: key, Value: r.convert(n.Value, depth+1)})
	}
}
