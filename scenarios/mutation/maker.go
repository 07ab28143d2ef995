package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
	"strings"
)

// mutation is one small change of the code.
type mutation struct {
	number uint32 // in this build, from 1
	identity
	line       int
	start, end int    // what is changed, in the file
	with       string // what stands there instead
}

// identity names a mutant in a way that survives changes elsewhere in its file.
type identity struct {
	File     string `json:"file"`     // below the module's root
	Function string `json:"function"` // or variable
	Rule     string `json:"rule"`
	Text     string `json:"text"` // the original, on one line
	Nth      int    `json:"nth"`  // of those that are equal otherwise, from 1
}

func (i identity) key() string {
	return strings.Join([]string{i.File, i.Function, i.Rule, i.Text, strconv.Itoa(i.Nth)}, "\x00")
}

// name is short, for command lines.
func (i identity) name() string {
	sum := sha256.Sum256([]byte(i.key()))
	return hex.EncodeToString(sum[:4])
}

// folder is the package of the mutant below the module's root.
func (i identity) folder() string {
	at := strings.LastIndexByte(i.File, '/')
	return i.File[:max(at, 0)]
}

// maker makes all mutants of one file.
type maker struct {
	*source
	file     *file
	function string
	edits    edits
	made     []*mutation
	seen     map[identity]int
	number   *uint32
	skip     map[string]bool // by key: they don't compile
	returns  map[*ast.ReturnStmt]bool
}

// alias is the name of package mutant in rewritten files.
const alias = "mutant_"

// mutate makes the mutants of a file and the text that has them all.
func mutate(s *source, f *file, number *uint32, skip map[string]bool) ([]*mutation, []byte) {
	m := &maker{source: s, file: f, number: number, skip: skip, seen: map[identity]int{}}
	ast.PreorderStack(f.tree, nil, m.visit)
	if m.edits.empty() {
		return nil, f.text
	}
	end := s.offset(f.tree.Name.End())
	m.edits.wrap(end, end, "", "; import "+alias+" "+strconv.Quote(module+"/scenarios/mutation/mutant"))
	return m.made, m.edits.apply(f.text)
}

// add makes a mutant of what is between two positions, if it is wanted.
func (m *maker) add(rule string, from, to token.Pos, with string) (number string, ok bool) {
	start, end := m.offset(from), m.offset(to)
	text := strings.Join(strings.Fields(string(m.file.text[start:end])), " ")
	id := identity{File: m.path + "/" + m.file.name, Function: m.function, Rule: rule, Text: text}
	m.seen[id]++
	id.Nth = m.seen[id]
	if m.skip[id.key()] {
		return "", false
	}
	*m.number++
	line := m.fset.Position(from).Line
	m.made = append(m.made, &mutation{number: *m.number, identity: id, line: line, start: start, end: end, with: with})
	return strconv.Itoa(int(*m.number)), true
}

// wrap adds a mutant of a node and what surrounds the node: before and after are
// given the number and the name of package mutant.
func (m *maker) wrap(rule string, n ast.Node, with, before, after string) {
	if number, ok := m.add(rule, n.Pos(), n.End(), with); ok {
		insert := strings.NewReplacer("$", number, "mutant.", alias+".")
		m.edits.wrap(m.offset(n.Pos()), m.offset(n.End()), insert.Replace(before), insert.Replace(after))
	}
}

// call makes an operator a call of a function of package mutant.
func (m *maker) call(rule string, e *ast.BinaryExpr, function, with string) {
	whole := m.text(e.X) + " " + with + " " + m.text(e.Y)
	if number, ok := m.add(rule, e.Pos(), e.End(), whole); ok {
		m.edits.wrap(m.offset(e.Pos()), m.offset(e.End()), fmt.Sprintf("%s.%s(%s, ", alias, function, number), ")")
		at := m.offset(e.OpPos)
		m.edits.replace(at, at+len(e.Op.String()), ",")
	}
}

// text is a node as it is written, on one line.
func (m *maker) text(n ast.Node) string {
	return strings.Join(strings.Fields(string(m.file.text[m.offset(n.Pos()):m.offset(n.End())])), " ")
}

// visit makes the mutants of a node and reports whether to go on inside it.
func (m *maker) visit(n ast.Node, stack []ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		m.function = m.named(n)
		return !forPeople[n.Name.Name]
	case *ast.GenDecl:
		return n.Tok == token.VAR
	case *ast.ValueSpec:
		if len(stack) == 2 { // the file and the declaration
			m.function = n.Names[0].Name
		}
	case ast.Stmt:
		m.statement(n, parent(stack))
	case ast.Expr:
		return m.expression(n, stack)
	}
	return true
}

// forPeople lists methods that make texts for people.
var forPeople = map[string]bool{"String": true, "Error": true, "GoString": true}

func (m *maker) named(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	return "(" + m.text(f.Recv.List[0].Type) + ")." + f.Name.Name
}

// parent is the innermost node around one, not counting parentheses.
func parent(stack []ast.Node) ast.Node {
	for i := len(stack) - 1; i >= 0; i-- {
		if _, ok := stack[i].(*ast.ParenExpr); !ok {
			return stack[i]
		}
	}
	return nil
}

// typed writes a type as this file can name it; "" if it can't.
func (m *maker) typed(t types.Type) string {
	known := true
	name := types.TypeString(t, func(p *types.Package) string {
		if p == m.types {
			return ""
		}
		for _, imp := range m.file.tree.Imports {
			if path, _ := strconv.Unquote(imp.Path.Value); path == p.Path() {
				if imp.Name != nil {
					return imp.Name.Name
				}
				return p.Name()
			}
		}
		known = false
		return ""
	})
	if !known {
		return ""
	}
	return name
}
