package project

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/taucloud/tau/yamltree"
)

const (
	// problemsMax is how many problems of a project are told: the first ones.
	problemsMax = 50
	// problemsKept bounds how many are found, so that the first ones can be told.
	problemsKept = 500
)

// problems are what is wrong with a project, and what is to be noticed.
type problems struct {
	contents map[string][]byte // of files, for their lines
	unseen   map[string]bool   // files of which no lines are shown: there are keys in them
	errors   yamltree.Errors
	warnings yamltree.Errors
	failures int // errors, those that are not kept as well
}

func (p *problems) fail(file string, at *yamltree.Value, hint, format string, args ...any) {
	p.failures++
	if len(p.errors) < problemsKept {
		p.errors = append(p.errors, p.problem(file, at, hint, fmt.Sprintf(format, args...)))
	}
}

func (p *problems) warn(file string, at *yamltree.Value, hint, format string, args ...any) {
	if len(p.warnings) < problemsKept {
		p.warnings = append(p.warnings, p.problem(file, at, hint, fmt.Sprintf(format, args...)))
	}
}

func (p *problems) problem(file string, at *yamltree.Value, hint, what string) *yamltree.Error {
	e := &yamltree.Error{File: file, Line: 1, Col: 1, What: what, Hint: cmp.Or(hint, "see docs/projects.md")}
	if at != nil {
		e.Line, e.Col = max(1, at.Line), max(1, at.Col)
	}
	if !p.unseen[file] {
		e.Source = p.line(file, e.Line)
	}
	return e
}

// line is a line of a file.
func (p *problems) line(file string, n int) string {
	rest := bytes.TrimPrefix(p.contents[file], []byte("\uFEFF"))
	if bytes.ContainsRune(rest, '\r') { // which ends a line, too
		rest = bytes.ReplaceAll(bytes.ReplaceAll(rest, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	}
	for ; n > 1 && len(rest) > 0; n-- {
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return strings.ToValidUTF8(string(line[:min(len(line), textLenMax)]), "\uFFFD")
}

// told are problems in the order of files and places, and of more than problemsMax the first ones.
func told(list yamltree.Errors) yamltree.Errors {
	slices.SortStableFunc(list, func(a, b *yamltree.Error) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), strings.Compare(a.What, b.What))
	})
	if more := len(list) - problemsMax; more > 0 {
		list = list[:problemsMax]
		list[problemsMax-1].Hint += fmt.Sprintf("\n    and %d more, not shown", more)
	}
	return list
}

// err is what is wrong, nil if nothing is.
func (p *problems) err() error {
	if len(p.errors) == 0 {
		return nil
	}
	return told(p.errors)
}
