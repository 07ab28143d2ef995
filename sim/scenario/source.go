package scenario

import (
	"bytes"
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

// Bounds of a scenario file.
const (
	// FileLenMax is in bytes. A larger file is refused before it is parsed.
	FileLenMax = 1 << 20
	// nestingMax is how deep lists and mappings may nest.
	nestingMax = 32
	// keysMax is how many keys a mapping may have: the YAML library needs time
	// that grows with their square.
	keysMax = 1000
)

// value is a part of the file with its position: the subset of YAML that
// scenarios are made of.
type value struct {
	kind      kind
	line, col int
	text      string // of a scalar
	quoted    bool   // the scalar was in quotes
	items     []*value
	entries   []entry
}

type kind uint8

const (
	null kind = iota
	scalar
	sequence
	mapping
)

func (v *value) String() string {
	switch v.kind {
	case null:
		return "nothing"
	case sequence:
		return "a list"
	case mapping:
		if len(v.entries) == 0 {
			return "an empty mapping"
		}
		return "a mapping"
	}
	return quote(v.text)
}

// get returns the value of a key of a mapping, nil if it has none.
func (v *value) get(key string) *value {
	for _, e := range v.entries {
		if e.key.text == key {
			return e.value
		}
	}
	return nil
}

// place is the value of a key, for messages, or the mapping itself if it has none.
func (v *value) place(key string) *value {
	if at := v.get(key); at != nil {
		return at
	}
	return v
}

// path follows keys from one mapping to the next, nil if one is missing. v may be
// nil.
func (v *value) path(keys []string) *value {
	for _, key := range keys {
		if v == nil {
			return nil
		}
		v = v.get(key)
	}
	return v
}

type entry struct{ key, value *value }

// byteOrderMark is what some editors begin a UTF-8 file with.
var byteOrderMark = []byte("\uFEFF")

// read turns a file into values. It returns nil if there is nothing to go on
// with.
func (d *decoder) read(data []byte) *value {
	data = bytes.TrimPrefix(data, byteOrderMark)
	if !d.acceptable(data) {
		return nil
	}
	file := d.parse(string(data))
	if file == nil {
		return nil
	}
	var root ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			root = doc.Body
		}
	}
	if root == nil {
		d.failAt(1, 1, "a scenario is a mapping with at least duration and nodes", "the file is empty")
		return nil
	}
	return d.convert(root, 0)
}

// acceptable checks the file before it is parsed.
func (d *decoder) acceptable(data []byte) bool {
	if len(data) > FileLenMax {
		d.errors = append(d.errors, tooLarge(d.file, int64(len(data)))...)
		return false
	}
	line := 1
	for len(data) > 0 {
		text, rest, _ := bytes.Cut(data, []byte("\n"))
		for col := 1; len(text) > 0; col++ {
			r, size := utf8.DecodeRune(text)
			if r == utf8.RuneError && size == 1 {
				d.failAt(line, col, "save the file as UTF-8", "byte 0x%02x is not UTF-8", text[0])
				return false
			}
			if r < ' ' && r != '\t' && r != '\r' || r == 0x7f {
				d.failAt(line, col, "remove it", "control character %U", r)
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
func (d *decoder) parse(text string) (file *ast.File) {
	defer func() {
		if p := recover(); p != nil { // the library's bug, still the user's file
			d.failAt(1, 1, "simplify the YAML of the file", "the YAML library gave up: %v", p)
			file = nil
		}
	}()
	tokens := lexer.Tokenize(text)
	if !d.guard(tokens) {
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
	d.failAt(line, col, syntaxHint(message), "not valid YAML: %s", message)
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

// guard refuses the parts of YAML that scenarios do not need and that can make a file misleading,
// or its parsing endless.
func (d *decoder) guard(tokens token.Tokens) bool {
	depth, run, header := 0, 0, false
	var keys keyCounter
	for i, t := range tokens {
		what, hint := "", ""
		switch t.Type {
		case token.AnchorType:
			what, hint = "anchors (&name) are not supported", "write the value out where it is used"
		case token.AliasType:
			what, hint = "aliases (*name) are not supported", `if this is meant to select nodes, put it in quotes: "*"`
		case token.MergeKeyType:
			what, hint = "merge keys (<<) are not supported", "write the keys out"
		case token.TagType:
			what, hint = "tags ("+quote(t.Value)+") are not supported", "remove the tag"
		case token.MappingKeyType:
			what, hint = "complex keys (?) are not supported", "write key: value"
		case token.DirectiveType:
			what, hint = "directives (%) are not supported", "remove the line"
		case token.DocumentHeaderType:
			if header || i > 0 {
				what, hint = "a second document begins", "put each scenario in a file of its own"
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
		if keys.add(t, depth) > keysMax {
			what, hint = fmt.Sprintf("a mapping with more than %d keys", keysMax), "nothing in a scenario needs that"
		}
		if depth+run > nestingMax {
			what, hint = fmt.Sprintf("lists and mappings are nested more than %d deep", nestingMax), "nothing in a scenario needs that"
		}
		if what != "" {
			d.failAt(t.Position.Line, t.Position.Column, hint, "%s", what)
			return false
		}
	}
	return true
}

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
// bounded by nestingMax.
func (d *decoder) convert(n ast.Node, depth int) *value {
	v := &value{line: 1, col: 1}
	if t := n.GetToken(); t != nil && t.Position != nil {
		v.line, v.col = max(t.Position.Line, 1), max(t.Position.Column, 1)
	}
	if depth > nestingMax {
		d.fail(v, "nothing in a scenario needs that", "lists and mappings are nested more than %d deep", nestingMax)
		return v
	}
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.SequenceNode:
		v.kind = sequence
		for _, item := range n.Values {
			v.items = append(v.items, d.convert(item, depth+1))
		}
	case *ast.MappingNode:
		v.kind = mapping
		d.convertEntries(v, n.Values, depth)
	case *ast.MappingValueNode:
		v.kind = mapping
		d.convertEntries(v, []*ast.MappingValueNode{n}, depth)
	case *ast.StringNode:
		v.kind, v.text = scalar, n.Value
		v.quoted = n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType
	case *ast.LiteralNode:
		v.kind, v.text, v.quoted = scalar, n.Value.Value, true
	case ast.ScalarNode:
		v.kind, v.text = scalar, n.GetToken().Value
	default:
		d.fail(v, "use plain keys, lists and values", "%s is not supported here", n.Type())
	}
	return v
}

func (d *decoder) convertEntries(v *value, nodes []*ast.MappingValueNode, depth int) {
	seen := make(map[string]*value, len(nodes))
	for i, n := range nodes {
		key := d.convert(n.Key, depth+1)
		if i == 0 { // a mapping begins where its first key does
			v.line, v.col = key.line, key.col
		}
		if key.kind != scalar {
			d.fail(key, "a key is a plain word", "%s is not a key", key)
			continue
		}
		if first := seen[key.text]; first != nil {
			d.fail(key, fmt.Sprintf("the first one is in line %d; keep one of them", first.line), "key %s is given twice", quote(key.text))
			continue
		}
		seen[key.text] = key
		v.entries = append(v.entries, entry{key: key, value: d.convert(n.Value, depth+1)})
	}
}
