package scenario

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/sometimes"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/fault"
)

// Word documents one word that scenario files may use.
type Word struct {
	// Kind is "key", "expect" (a key of expect), "entry" (a key of the timeline), "fault", "action",
	// "check", "figure", "service", "mark", "failpoint", "select" (a key of a selection
	// of nodes) or "quality" (what nodes are selected by).
	Kind string `json:"kind"`
	Name string `json:"name"`
	Doc  string `json:"doc"`
	// Means is a check in one line, where Doc takes more.
	Means   string `json:"means,omitempty"`
	Example string `json:"example,omitempty"`
	// Unit is that of a figure.
	Unit string `json:"unit,omitempty"`
	// Keys are a verb's parameters, or a service's settings.
	Keys []Key `json:"keys,omitempty"`
}

// Key documents one key below a word.
type Key struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Default string `json:"default,omitempty"`
	// Range is what is allowed, "" for what has no bounds of its own.
	Range string `json:"range,omitempty"`
	Doc   string `json:"doc,omitempty"`
}

// Words documents everything that a scenario file may say.
func Words(v Vocabulary) []Word {
	var out []Word
	for _, f := range fieldsOf(reflect.TypeFor[document]()) {
		out = append(out, Word{Kind: "key", Name: f.key, Doc: f.doc, Example: f.example, Keys: keyDocs(sample(f.typ), "")})
	}
	for _, f := range fieldsOf(reflect.TypeFor[expectDoc]()) {
		out = append(out, Word{Kind: "expect", Name: f.key, Doc: f.doc, Example: f.example})
	}
	for _, f := range fieldsOf(reflect.TypeFor[whenDoc]()) {
		out = append(out, Word{Kind: "entry", Name: f.key, Doc: f.doc, Example: f.example})
	}
	out = append(out, Word{Kind: "entry", Name: momentVerb, Doc: "checks and figures that must hold at this moment: a list of checks, or keys", Example: "{at: 2m, expect: {all: [replicas-converged], report: {jobs.succeeded: {min: 10}}, within: 30s}}", Keys: keyDocs(&momentDoc{}, "")})
	for _, a := range v.Actions {
		w := Word{Kind: "action", Name: a.Name, Doc: a.Doc, Example: a.Example}
		if a.Params != nil {
			w.Keys = keyDocs(a.Params(), "")
		}
		if a.Service != "" {
			w.Keys = append(w.Keys, toDoc(a.Service))
		}
		if a.Attack == nil {
			w.Keys = append(w.Keys, cloudDoc)
		}
		out = append(out, w)
	}
	for _, verb := range verbs {
		doc := verb.doc
		if verb.lasts != never {
			doc += " (takes for)"
		}
		out = append(out, Word{Kind: "fault", Name: verb.name, Doc: doc, Example: verb.example, Keys: keyDocs(verb.params(), "")})
	}
	out = append(out, selectWords(v)...)
	for _, c := range v.Checks {
		where := " (" + whereFits(c.New()) + ")"
		w := Word{Kind: "check", Name: c.Name, Doc: c.Doc + where, Example: checkExample(c)}
		if c.Means != "" {
			w.Means = c.Means + where
		}
		out = append(out, w)
	}
	out = append(out, figureWords(v)...)
	out = append(out, serviceWords(v)...)
	return append(out, codeWords()...)
}

// codeWords are the names of places in the code that a scenario may speak of.
func codeWords() (out []Word) {
	for _, m := range sometimes.Marks() {
		out = append(out, Word{Kind: "mark", Name: m.Name(), Doc: m.Doc(), Example: "expect: {sometimes: [" + m.Name() + "]}"})
	}
	for _, p := range fail.Points() {
		out = append(out, Word{Kind: "failpoint", Name: p.Name(), Doc: p.Doc(), Example: "failpoint: {name: " + p.Name() + ", do: error, times: 1}"})
	}
	return out
}

func serviceWords(v Vocabulary) (out []Word) {
	add := func(specs []node.Spec, suffix string) {
		for _, s := range specs {
			w := Word{Kind: "service", Name: s.Name, Doc: s.Doc + suffix}
			if suffix == "" {
				w.Example = "nodes: [{name: machine, count: 3, services: [" + s.Name + "]}]"
			}
			if s.Settings != nil {
				w.Keys = keyDocs(s.Settings(), "")
			}
			out = append(out, w)
		}
	}
	add(v.Services, "")
	add(v.Always, " (runs on every node)")
	return out
}

// checkExample is how a check is expected.
func checkExample(c Check) string {
	if listens(c.New()) {
		return "expect: {always: [" + c.Name + "]}"
	}
	return "expect: {after-heal: [" + c.Name + "]}"
}

// whereFits names the lists of expect that a check may be in.
func whereFits(c check.Checker) string {
	_, settles := c.(check.OnSettled)
	var where []string
	if listens(c) {
		where = append(where, "always")
	}
	if settles {
		where = append(where, "after-heal")
	}
	return strings.Join(where, ", ")
}

// sample is a struct to document, nil for what is none.
func sample(t reflect.Type) any {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[raw]() {
		return nil
	}
	return reflect.New(t).Interface()
}

// keyDocs documents the keys of a struct of defaults.
func keyDocs(defaults any, prefix string) (out []Key) {
	v := reflect.ValueOf(defaults)
	if !v.IsValid() || v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil
	}
	v = v.Elem()
	for _, f := range fieldsOf(v.Type()) {
		value := v.FieldByIndex(f.index)
		name := typeName(f.typ)
		if name == "keys" {
			out = append(out, keyDocs(value.Addr().Interface(), prefix+f.key+".")...)
			continue
		}
		k := Key{Name: prefix + f.key, Type: name, Doc: f.doc}
		if !value.IsZero() && value.Kind() != reflect.Pointer {
			k.Default = defaultText(value)
		}
		if f.bounds != nil {
			k.Range = f.bounds.String()
		}
		out = append(out, k)
	}
	return out
}

func defaultText(v reflect.Value) string {
	if r, ok := v.Interface().(fault.Range); ok {
		if r.Min == r.Max {
			return r.Min.String()
		}
		return r.Min.String() + ".." + r.Max.String()
	}
	return fmt.Sprint(v.Interface())
}

func typeName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case durationType:
		return "duration"
	case rangeType:
		return "duration or range"
	case reflect.TypeFor[Selector]():
		return "nodes"
	case reflect.TypeFor[[]Selector]():
		return "list of nodes"
	case reflect.TypeFor[Offset]():
		return "duration, may be negative"
	case reflect.TypeFor[Bandwidth]():
		return "bytes a second"
	case reflect.TypeFor[Probability](), reflect.TypeFor[Loss]():
		return "probability"
	case reflect.TypeFor[raw](), reflect.TypeFor[reportDoc]():
		return "mapping"
	case reflect.TypeFor[[]raw](), reflect.TypeFor[[]linkDoc]():
		return "list"
	case reflect.TypeFor[pointAction]():
		return "text"
	}
	switch t.Kind() {
	case reflect.Struct:
		return "keys"
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Map:
		return "mapping"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.String:
		return "text"
	}
	return "whole number"
}
