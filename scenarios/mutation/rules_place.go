package main

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

func isBool(t types.Type) bool {
	return types.Identical(t, types.Typ[types.Bool]) || types.Identical(t, types.Typ[types.UntypedBool])
}

func isError(t types.Type) bool { return types.Identical(t, types.Universe.Lookup("error").Type()) }

// boolean makes the mutants that depend on what a truth value decides.
func (m *maker) boolean(e ast.Expr, stack []ast.Node) {
	up := parent(stack)
	op, _ := up.(*ast.BinaryExpr)
	logic := op != nil && (op.Op == token.LAND || op.Op == token.LOR)
	not, _ := up.(*ast.UnaryExpr)
	switch {
	case m.errorCheck(e, up):
	case !logic && not == nil && (decides(up, e) || composed(e)):
		m.wrap(ruleNegated, e, "!("+m.text(e)+")", "((", ") != mutant.On($))")
	case compares(e):
		m.wrap(ruleComparison, e, "!("+m.text(e)+")", "((", ") != mutant.On($))")
	}
	if !logic || chain(e, op.Op) {
		return
	}
	if op.Op == token.LAND {
		m.wrap(ruleOperand, e, "true", "(mutant.On($) || (", "))")
	} else {
		m.wrap(ruleOperand, e, "false", "(!mutant.On($) && (", "))")
	}
}

// errorCheck makes a mutant of err != nil that looks away.
func (m *maker) errorCheck(e ast.Expr, up ast.Node) bool {
	b, ok := e.(*ast.BinaryExpr)
	if !ok || b.Op != token.NEQ && b.Op != token.EQL || !m.info.Types[b.Y].IsNil() || !isError(m.info.Types[b.X].Type) {
		return false
	}
	if branch, ok := up.(*ast.IfStmt); ok && m.panics(branch.Body) {
		return true // a bug
	}
	if b.Op == token.NEQ {
		m.wrap(ruleIgnored, e, "false", "(!mutant.On($) && (", "))")
	} else {
		m.wrap(ruleIgnored, e, "true", "(mutant.On($) || (", "))")
	}
	return true
}

func (m *maker) panics(body *ast.BlockStmt) bool {
	if len(body.List) == 0 {
		return false
	}
	last, ok := body.List[len(body.List)-1].(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := last.X.(*ast.CallExpr)
	return ok && m.builtin(call, "panic")
}

func (m *maker) builtin(call *ast.CallExpr, name string) bool {
	id, ok := call.Fun.(*ast.Ident)
	return ok && id.Name == name && m.info.Types[id].IsBuiltin()
}

// decides reports whether a truth value is the whole condition or the whole
// result.
func decides(up ast.Node, e ast.Expr) bool {
	switch up := up.(type) {
	case *ast.IfStmt:
		return ast.Unparen(up.Cond) == e
	case *ast.ForStmt:
		return up.Cond != nil && ast.Unparen(up.Cond) == e
	case *ast.ReturnStmt, *ast.CaseClause:
		return true
	}
	return false
}

func composed(e ast.Expr) bool {
	u, not := e.(*ast.UnaryExpr)
	_, binary := e.(*ast.BinaryExpr)
	return binary || not && u.Op == token.NOT
}

func compares(e ast.Expr) bool {
	b, ok := e.(*ast.BinaryExpr)
	return ok && b.Op != token.LAND && b.Op != token.LOR
}

// chain reports whether e is a part of a && b && c that is one itself.
func chain(e ast.Expr, op token.Token) bool {
	b, ok := e.(*ast.BinaryExpr)
	return ok && b.Op == op
}

// calling makes mutants of calls: appends of nothing, and what can fail skipped.
func (m *maker) calling(c *ast.CallExpr, result types.Type, up ast.Node) {
	if m.builtin(c, "append") && !assigned(up) && len(c.Args) > 1 {
		m.appending(c)
	}
	switch up.(type) {
	case *ast.ExprStmt, *ast.GoStmt, *ast.DeferStmt:
		return
	}
	if result == nil || !isError(result) || m.makesError(c) {
		return
	}
	m.wrap(ruleSkipped, c, "nil", "mutant.Call($, func() error { return ", " })")
}

// makesError reports whether a call only makes an error.
func (m *maker) makesError(c *ast.CallExpr) bool {
	f := m.callee(c)
	return f != nil && (m.of(c, "errors") || m.of(c, "fmt") || strings.HasPrefix(f.Name(), "New") || strings.HasPrefix(f.Name(), "err"))
}

func (m *maker) appending(c *ast.CallExpr) {
	if t := m.info.Types[c.Args[len(c.Args)-1]].Type; c.Ellipsis.IsValid() && !isSlice(t) {
		return // of a string to bytes
	}
	if number, ok := m.add(ruleAppend, c.Pos(), c.End(), m.text(c.Args[0])); ok {
		m.edits.replace(m.offset(c.Fun.Pos()), m.offset(c.Fun.End()), alias+".Append")
		at := m.offset(c.Args[0].Pos())
		m.edits.wrap(at, at, number+", ", "")
	}
}

func isSlice(t types.Type) bool {
	_, ok := t.Underlying().(*types.Slice)
	return ok
}

// assigned reports whether the whole statement can be dropped instead.
func assigned(up ast.Node) bool {
	a, ok := up.(*ast.AssignStmt)
	return ok && a.Tok == token.ASSIGN
}

// place makes the mutants that depend on where a value stands.
func (m *maker) place(e ast.Expr, t types.Type, up ast.Node, stack []ast.Node) {
	switch up := up.(type) {
	case *ast.SliceExpr:
		if basic, ok := t.Underlying().(*types.Basic); !ok || basic.Info()&types.IsInteger == 0 {
			return
		}
		if up.Low != nil && ast.Unparen(up.Low) == e {
			m.wrap(ruleBound, e, m.text(e)+"+1", "mutant.Next($, ", ")")
		} else {
			m.wrap(ruleBound, e, m.text(e)+"-1", "mutant.Previous($, ", ")")
		}
	case *ast.ReturnStmt:
		call, ok := e.(*ast.CallExpr)
		if isError(t) && (!ok || m.makesError(call)) {
			m.wrap(ruleError, e, "nil", "mutant.Err($, ", ")")
		}
	case *ast.KeyValueExpr:
		if lit, ok := around(stack, up).(*ast.CompositeLit); ok && up.Value == e {
			m.field(e, t, lit)
		}
	case *ast.CompositeLit:
		m.field(e, t, up)
	}
}

// around is the node around another one that is on the stack.
func around(stack []ast.Node, n ast.Node) ast.Node {
	for i := 1; i < len(stack); i++ {
		if stack[i] == n {
			return stack[i-1]
		}
	}
	return nil
}

// field makes a mutant without the value of a field of a struct.
func (m *maker) field(e ast.Expr, t types.Type, lit *ast.CompositeLit) {
	of, ok := m.info.Types[lit].Type.Underlying().(*types.Struct)
	_, function := e.(*ast.FuncLit)
	if !ok || function || m.info.Types[e].IsNil() {
		return
	}
	for i := range of.NumFields() {
		if f := of.Field(i); m.fills(lit, e, f, i) && (types.Identical(f.Type(), t) || isBool(t) && isBool(f.Type())) {
			m.wrap(ruleField, e, "zero", "mutant.Zero($, ", ")")
		}
	}
}

// fills reports whether e is the value of the i-th field f in a literal.
func (m *maker) fills(lit *ast.CompositeLit, e ast.Expr, f *types.Var, i int) bool {
	for at, elem := range lit.Elts {
		if kv, ok := elem.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && kv.Value == e && key.Name == f.Name() {
				return true
			}
		} else if at == i && elem == e {
			return true
		}
	}
	return false
}
