package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"time"

	"github.com/taucloud/tau/scenarios/mutation/mutant"
)

// expression makes the mutants of an expression, from the inside out, and
// reports whether to go on inside it.
func (m *maker) expression(e ast.Expr, stack []ast.Node) bool {
	tv := m.info.Types[e]
	up := parent(stack)
	switch {
	case tv.IsType(), tv.IsBuiltin(), m.hidden(e), m.onlyTold(e, up):
		return false
	case tv.Value != nil:
		m.constant(e, tv, up)
		return false
	}
	if _, ok := e.(*ast.ParenExpr); ok || !tv.IsValue() {
		return true
	}
	if b, ok := e.(*ast.BinaryExpr); ok {
		m.operator(b)
	}
	if c, ok := e.(*ast.CallExpr); ok {
		m.calling(c, tv.Type, up)
	}
	if isBool(tv.Type) {
		m.boolean(e, stack)
	}
	m.place(e, tv.Type, up, stack)
	return !m.errorText(e, up, stack)
}

// errorText reports whether an expression only says what an error is called: an Errorf, or a
// Sprintf that makes the Text of an Error.
func (m *maker) errorText(e ast.Expr, up ast.Node, stack []ast.Node) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok || !m.of(call, "fmt") {
		return false
	}
	return m.callee(call).Name() == "Errorf" || m.callee(call).Name() == "Sprintf" && m.textField(up, stack)
}

// textField reports whether a node gives the field Text of a literal of a type Error.
func (m *maker) textField(n ast.Node, stack []ast.Node) bool {
	kv, ok := n.(*ast.KeyValueExpr)
	if !ok {
		return false
	}
	key, named := kv.Key.(*ast.Ident)
	lit, ok := around(stack, kv).(*ast.CompositeLit)
	if !ok || !named || key.Name != "Text" {
		return false
	}
	t, ok := types.Unalias(m.info.Types[lit].Type).(*types.Named)
	return ok && t.Obj().Name() == "Error"
}

// hidden tells what is for people and for bugs: logging, panics, the texts of
// errors; and capacities, which change nothing.
func (m *maker) hidden(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	if builtin, ok := call.Fun.(*ast.Ident); ok && m.info.Types[call.Fun].IsBuiltin() {
		return builtin.Name == "panic" || builtin.Name == "make"
	}
	return m.of(call, "log/slog") || m.of(call, "log")
}

// onlyTold reports whether a condition decides about nothing but a record in the log
// that is no error: an error fails a simulated run, others change nothing.
func (m *maker) onlyTold(e ast.Expr, up ast.Node) bool {
	branch, ok := up.(*ast.IfStmt)
	if !ok || branch.Cond != e || branch.Else != nil || len(branch.Body.List) == 0 {
		return false
	}
	for _, s := range branch.Body.List {
		told, ok := s.(*ast.ExprStmt)
		if !ok {
			return false
		}
		call, ok := told.X.(*ast.CallExpr)
		if !ok || !m.of(call, "log/slog") || m.callee(call).Name() == "Error" {
			return false
		}
	}
	return true
}

// of reports whether a function of that package is called.
func (m *maker) of(call *ast.CallExpr, path string) bool {
	f := m.callee(call)
	return f != nil && f.Pkg() != nil && f.Pkg().Path() == path
}

// callee is the function or method that is called; nil if it is a value.
func (m *maker) callee(call *ast.CallExpr) *types.Func {
	fun := ast.Unparen(call.Fun)
	if index, ok := fun.(*ast.IndexExpr); ok {
		fun = index.X
	}
	switch fun := fun.(type) {
	case *ast.Ident:
		f, _ := m.info.Uses[fun].(*types.Func)
		return f
	case *ast.SelectorExpr:
		f, _ := m.info.Uses[fun.Sel].(*types.Func)
		return f
	}
	return nil
}

// constant makes mutants of numbers and of true and false.
func (m *maker) constant(e ast.Expr, tv types.TypeAndValue, up ast.Node) {
	if word, ok := e.(*ast.Ident); ok && tv.Value.Kind() == constant.Bool && isBool(tv.Type) {
		switch word.Name {
		case "true":
			m.wrap(ruleFlipped, e, "false", "(", " && !mutant.On($))")
		case "false":
			m.wrap(ruleFlipped, e, "true", "(", " || mutant.On($))")
		}
		return
	}
	basic, ok := tv.Type.Underlying().(*types.Basic)
	name := m.typed(tv.Type)
	if !ok || basic.Info()&types.IsNumeric == 0 || basic.Info()&(types.IsComplex|types.IsUntyped) != 0 || name == "" || fixed(e, up) {
		return
	}
	m.wrap(ruleRaised, e, raised(e, tv), "mutant.Raised["+name+"]($, ", ")")
	if zero := constant.Sign(tv.Value) == 0; !zero && (!enumerated(tv.Type) || name == "time.Duration") {
		m.wrap(ruleZeroed, e, "0", "mutant.Zero["+name+"]($, ", ")")
	}
}

// fixed reports whether the language demands a constant here.
func fixed(e ast.Expr, up ast.Node) bool {
	switch up := up.(type) {
	case *ast.KeyValueExpr:
		return up.Key == e
	case *ast.BinaryExpr:
		return up.Op == token.SHL || up.Op == token.SHR
	}
	return false
}

// enumerated reports whether the numbers of a type are names of something.
func enumerated(t types.Type) bool {
	_, named := types.Unalias(t).(*types.Named)
	return named
}

// raised is the value that mutant.Raised has.
func raised(e ast.Expr, tv types.TypeAndValue) string {
	n, exact := constant.Int64Val(constant.ToInt(tv.Value))
	if !exact {
		return "10 * " + tv.Value.String()
	}
	if types.TypeString(tv.Type, nil) != "time.Duration" {
		return fmt.Sprint(mutant.Raise(n))
	}
	d := mutant.Raise(time.Duration(n))
	if _, plain := e.(*ast.BasicLit); plain && n != 0 {
		return fmt.Sprint(int64(d))
	}
	return d.String()
}

// operator makes mutants of comparisons and of arithmetic.
func (m *maker) operator(e *ast.BinaryExpr) {
	type change struct{ function, with string }
	boundary := map[token.Token]change{
		token.LSS: {"Less", "<="}, token.LEQ: {"AtMost", "<"}, token.GTR: {"More", ">="}, token.GEQ: {"AtLeast", ">"},
	}
	arithmetic := map[token.Token]change{
		token.ADD: {"Sum", "-"}, token.SUB: {"Difference", "+"}, token.MUL: {"Product", "+"}, token.QUO: {"Quotient", "*"},
		token.REM: {"Remainder", "/"}, token.AND: {"Both", "|"}, token.OR: {"Either", "&"},
	}
	if c, ok := boundary[e.Op]; ok {
		m.call(ruleBoundary, e, c.function, c.with)
	}
	basic, _ := m.info.Types[e].Type.Underlying().(*types.Basic)
	if c, ok := arithmetic[e.Op]; ok && basic != nil && basic.Info()&types.IsNumeric != 0 {
		m.call(ruleArithmetic, e, c.function, c.with)
	}
}
