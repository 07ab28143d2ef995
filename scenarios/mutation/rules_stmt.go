package main

import (
	"go/ast"
	"go/token"
	"go/types"
)

// statement makes a mutant without a statement, where one can go.
func (m *maker) statement(s ast.Stmt, up ast.Node) {
	if !inBlock(s, up) || !m.droppable(s, up) {
		return
	}
	m.wrap(ruleStatement, s, "", "if !mutant.On($) { ", " }")
}

// inBlock reports whether s is one of the statements of a block.
func inBlock(s ast.Stmt, up ast.Node) bool {
	switch up := up.(type) {
	case *ast.BlockStmt:
		return true
	case *ast.CaseClause:
		return true
	case *ast.CommClause:
		return up.Comm != s
	}
	return false
}

func (m *maker) droppable(s ast.Stmt, up ast.Node) bool {
	switch s := s.(type) {
	case *ast.IncDecStmt, *ast.SendStmt:
		return true
	case *ast.AssignStmt:
		return s.Tok != token.DEFINE && m.effective(s)
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		return ok && !m.spared(call)
	case *ast.DeferStmt:
		return !m.spared(s.Call)
	case *ast.BranchStmt:
		return s.Tok == token.BREAK || s.Tok == token.CONTINUE
	case *ast.ReturnStmt:
		return m.early(s)
	}
	return false
}

// effective reports whether an assignment does anything.
func (m *maker) effective(s *ast.AssignStmt) bool {
	for _, l := range s.Lhs {
		if id, ok := l.(*ast.Ident); !ok || id.Name != "_" {
			return true
		}
	}
	_, call := s.Rhs[0].(*ast.CallExpr)
	return call
}

// spared calls are not skipped: locks, logs, panics, and the release of what a
// context holds, which nobody can see.
func (m *maker) spared(call *ast.CallExpr) bool {
	if m.hidden(call) || m.of(call, "sync") {
		return true
	}
	t := m.info.Types[call.Fun].Type
	return t != nil && types.TypeString(t, nil) == "context.CancelFunc"
}

// early reports whether a function goes on behind a return: it is in an if
// without else.
func (m *maker) early(s *ast.ReturnStmt) bool { return m.branches()[s] }

// branches are the returns of a file that stand in an if without else, except
// those that are the whole answer to an error: that is a mutant of its own.
func (m *maker) branches() map[*ast.ReturnStmt]bool {
	if m.returns != nil {
		return m.returns
	}
	m.returns = map[*ast.ReturnStmt]bool{}
	ast.Inspect(m.file.tree, func(n ast.Node) bool {
		branch, ok := n.(*ast.IfStmt)
		if !ok || branch.Else != nil {
			return true
		}
		list := branch.Body.List
		if len(list) == 0 || len(list) == 1 && m.aboutError(branch.Cond) {
			return true
		}
		if r, ok := list[len(list)-1].(*ast.ReturnStmt); ok {
			m.returns[r] = true
		}
		return true
	})
	return m.returns
}

func (m *maker) aboutError(cond ast.Expr) bool {
	b, ok := cond.(*ast.BinaryExpr)
	return ok && m.info.Types[b.Y].IsNil() && isError(m.info.Types[b.X].Type)
}
