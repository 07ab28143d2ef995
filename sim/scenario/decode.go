package scenario

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/sim/fault"
)

// decoder collects the errors of one file while it is decoded.
type decoder struct {
	file   string
	errors Errors
	known  map[Error]bool // what is in errors
	// failures counts all mistakes, those that are not kept as well: that it is larger than
	// before says that something was wrong in between.
	failures int

	// qualities and places are what selectors by state may speak of, stateful the
	// keys of those that were read.
	qualities []Quality
	places    []Place
	stateful  []*value
	// inSettings: settings of services are read, of which lists may be empty.
	inSettings bool
}

func (d *decoder) failAt(line, col int, hint, format string, args ...any) {
	e := &Error{File: d.file, Line: line, Col: col, What: fmt.Sprintf(format, args...), Hint: hint}
	d.failures++
	if d.known[*e] || len(d.errors) >= errorsKept {
		return
	}
	if d.known == nil {
		d.known = map[Error]bool{}
	}
	d.known[*e] = true
	d.errors = append(d.errors, e)
}

func (d *decoder) fail(v *value, hint, format string, args ...any) {
	d.failAt(v.line, v.col, hint, format, args...)
}

// result is all errors in the order of the file, nil if there are none; of more than
// errorsMax the first ones, of which the last says how many there are.
func (d *decoder) result() error {
	if len(d.errors) == 0 {
		return nil
	}
	slices.SortStableFunc(d.errors, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	for _, e := range d.errors {
		if e.Hint == "" {
			e.Hint = "see scenarios/FORMAT.md"
		}
	}
	if more := len(d.errors) - errorsMax; more > 0 {
		d.errors = d.errors[:errorsMax]
		d.errors[errorsMax-1].Hint += fmt.Sprintf("\n    and %d more errors, not shown", more)
	}
	return d.errors
}

// decodes is a type with a decoder of its own.
type decodes interface {
	decode(d *decoder, v *value)
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	rangeType    = reflect.TypeFor[fault.Range]()
)

// into decodes v strictly over the present value of dst. what names it in messages.
func (d *decoder) into(v *value, dst reflect.Value, what string) {
	if dst.Kind() == reflect.Pointer && dst.Type().Elem().Kind() != reflect.Pointer {
		if v.kind == null {
			return
		}
		if dst.IsNil() {
			dst.Set(reflect.New(dst.Type().Elem()))
		}
		dst = dst.Elem()
	}
	if own, ok := dst.Addr().Interface().(decodes); ok {
		own.decode(d, v)
		return
	}
	switch dst.Type() {
	case durationType:
		dst.SetInt(int64(d.duration(v, what)))
		return
	case rangeType:
		dst.Set(reflect.ValueOf(d.durations(v, what)))
		return
	}
	if own, ok := dst.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if text, ok := d.text(v, what); ok {
			if err := own.UnmarshalText([]byte(text)); err != nil {
				d.fail(v, "", "%s: %v", what, err)
			}
		}
		return
	}
	d.intoKind(v, dst, what)
}

func (d *decoder) intoKind(v *value, dst reflect.Value, what string) {
	switch dst.Kind() {
	case reflect.Struct:
		d.intoStruct(v, dst, what)
	case reflect.Slice:
		d.intoSlice(v, dst, what)
	case reflect.Map:
		d.intoMap(v, dst, what)
	case reflect.String:
		if text, ok := d.text(v, what); ok {
			dst.SetString(text)
		}
	case reflect.Bool:
		if on, ok := d.boolean(v, what); ok {
			dst.SetBool(on)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n, ok := d.integer(v, what); ok && dst.OverflowInt(n) {
			d.fail(v, "write a smaller number", "%s: %d is too large", what, n)
		} else if ok {
			dst.SetInt(n)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if n, ok := d.unsigned(v, what); ok && dst.OverflowUint(n) {
			d.fail(v, "write a smaller number", "%s: %d is too large", what, n)
		} else if ok {
			dst.SetUint(n)
		}
	case reflect.Float32, reflect.Float64:
		if x, ok := d.float(v, what); ok {
			dst.SetFloat(x)
		}
	default:
		panic(fmt.Sprintf("scenario: %s is of a kind that files can't have: %s", what, dst.Type()))
	}
}

func (d *decoder) intoStruct(v *value, dst reflect.Value, what string) {
	if v.kind == null {
		return
	}
	keys := keysOf(dst.Type())
	switch {
	case v.kind != mapping:
		d.fail(v, "keys: "+list(keys), "%s: expected a mapping, found %s", what, v)
		return
	case len(v.entries) == 0:
		d.fail(v, "keys: "+list(keys), "%s: an empty mapping says nothing", what)
		return
	}
	for _, e := range v.entries {
		if !slices.Contains(keys, e.key.text) && !d.repaired(v, e.key, keys, what) {
			continue
		}
		fields := fieldsOf(dst.Type())
		f := fields[slices.IndexFunc(fields, func(f field) bool { return f.key == e.key.text })]
		before := d.failures
		if d.saysSomething(e, f) {
			d.into(e.value, dst.FieldByIndex(f.index), f.key)
		}
		if d.failures == before {
			d.checkField(e.value, f, dst.FieldByIndex(f.index))
		}
	}
}

// repaired reports an unknown key. If it is clear what was meant, and that is not
// given as well, it is read as that, so that all else that is wrong is found, and nothing is
// said to be missing.
func (d *decoder) repaired(v, key *value, keys []string, what string) bool {
	d.unknown(key, "key", "in "+what, d.meant(key.text, keys))
	meant, known := closest(key.text, keys)
	if !known || v.get(meant) != nil {
		return false
	}
	key.text = meant
	return true
}

// saysSomething reports whether a key has a value: nothing, and an empty list where one that is
// not empty is meant, are mistakes.
func (d *decoder) saysSomething(e entry, f field) bool {
	switch {
	case e.value.kind == null:
		d.fail(e.key, "give it a value, or remove it", "%s: expected a value, found nothing", f.key)
	case e.value.kind == sequence && len(e.value.items) == 0 && f.typ.Kind() == reflect.Slice && !f.mayBeEmpty && !d.inSettings:
		d.fail(e.value, "name at least one, or remove it", "%s: an empty list says nothing", f.key)
	default:
		return true
	}
	return false
}

// checkField checks what the tags of a field demand of its value.
func (d *decoder) checkField(at *value, f field, v reflect.Value) {
	if f.bounds != nil {
		if wrong := f.bounds.Check(v); wrong != "" {
			d.fail(at, "allowed: "+f.bounds.String(), "%s: %s", f.key, wrong)
		}
	}
	if len(f.values) > 0 && !slices.Contains(f.values, v.String()) {
		d.fail(at, suggest(v.String(), f.values), "%s: expected %s, found %s", f.key, alternatives(f.values), at)
	}
	if f.positive && v.IsZero() {
		d.fail(at, "write more than zero, or remove it", "%s: expected more than zero, found %s", f.key, at)
	}
}

// alternatives are words of which one is meant.
func alternatives(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// meant are the words that a key may have been meant to be: one of keys, or one that
// selects nodes, where on may be left out.
func (d *decoder) meant(word string, keys []string) []string {
	selectors := append(d.stateKeys(), selectorKeys...)
	_, key := closest(word, keys)
	if _, selector := closest(word, selectors); slices.Contains(keys, "on") && !key && selector {
		return selectors
	}
	return keys
}

// unknown reports a word that is none of the known ones.
func (d *decoder) unknown(v *value, kind, where string, known []string) {
	d.fail(v, suggest(v.text, known), "%s", strings.TrimSpace(fmt.Sprintf("unknown %s %s %s", kind, quote(v.text), where)))
}

func (d *decoder) intoSlice(v *value, dst reflect.Value, what string) {
	items := v.items
	switch v.kind {
	case null:
		return
	case scalar: // one is a list of one
		items = []*value{v}
	case mapping:
		if dst.Type().Elem().Kind() != reflect.Struct {
			d.fail(v, "write [a, b]", "%s: expected a list, found %s", what, v)
			return
		}
		items = []*value{v}
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(items), len(items)))
	for i, item := range items {
		d.into(item, dst.Index(i), what)
	}
}

func (d *decoder) intoMap(v *value, dst reflect.Value, what string) {
	if v.kind == null {
		return
	}
	if v.kind != mapping || dst.Type().Key().Kind() != reflect.String {
		d.fail(v, "write {key: value}", "%s: expected a mapping, found %s", what, v)
		return
	}
	out := reflect.MakeMap(dst.Type())
	for _, e := range v.entries {
		one := reflect.New(dst.Type().Elem()).Elem()
		d.into(e.value, one, what+"."+e.key.text)
		out.SetMapIndex(reflect.ValueOf(e.key.text).Convert(dst.Type().Key()), one)
	}
	dst.Set(out)
}
