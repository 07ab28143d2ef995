package scenario

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/sim/fault"
)

// decoder collects the errors of one file while it is decoded.
type decoder struct {
	file   string
	errors Errors
	more   int // errors beyond errorsMax

	// qualities and places are what selectors by state may speak of, stateful the
	// keys of those that were read.
	qualities []Quality
	places    []Place
	stateful  []*value
}

func (d *decoder) failAt(line, col int, hint, format string, args ...any) {
	e := &Error{File: d.file, Line: line, Col: col, What: fmt.Sprintf(format, args...), Hint: hint}
	for _, other := range d.errors {
		if *other == *e {
			return
		}
	}
	if len(d.errors) < errorsMax {
		d.errors = append(d.errors, e)
		return
	}
	d.more++
}

func (d *decoder) fail(v *value, hint, format string, args ...any) {
	d.failAt(v.line, v.col, hint, format, args...)
}

// result is all errors in the order of the file, nil if there are none.
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
	if d.more > 0 {
		last := d.errors[len(d.errors)-1]
		last.Hint += fmt.Sprintf("\n    and %d more errors, not shown", d.more)
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
	if v.kind != mapping {
		d.fail(v, "keys: "+list(keysOf(dst.Type())), "%s: expected a mapping, found %s", what, v)
		return
	}
	fields := fieldsOf(dst.Type())
	for _, e := range v.entries {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == e.key.text })
		if i < 0 {
			d.unknown(e.key, "key", "in "+what, d.meant(e.key.text, keysOf(dst.Type())))
			continue
		}
		before := len(d.errors)
		d.into(e.value, dst.FieldByIndex(fields[i].index), e.key.text)
		if fields[i].bounds != nil && len(d.errors) == before {
			if wrong := fields[i].bounds.Check(dst.FieldByIndex(fields[i].index)); wrong != "" {
				d.fail(e.value, "allowed: "+fields[i].bounds.String(), "%s: %s", e.key.text, wrong)
			}
		}
	}
}

// meant are the words that a key may have been meant to be: one of keys, or one that
// selects nodes, where on may be left out.
func (d *decoder) meant(word string, keys []string) []string {
	selectors := append(d.stateKeys(), selectorKeys...)
	if slices.Contains(keys, "on") && !isClose(word, keys) && isClose(word, selectors) {
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

// field is a key that a struct may have in a file.
type field struct {
	key    string
	doc    string
	index  []int
	typ    reflect.Type
	bounds *node.Range // nil without a range
}

// fieldsOf lists the keys of a struct in order: its yaml tags, or the lower
// cased name of a field without one.
func fieldsOf(t reflect.Type) (out []field) {
	for _, f := range reflect.VisibleFields(t) {
		if f.PkgPath != "" || f.Anonymous {
			continue
		}
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "-" {
			continue
		}
		if key == "" {
			key = strings.ToLower(f.Name)
		}
		one := field{key: key, doc: f.Tag.Get("doc"), index: f.Index, typ: f.Type}
		if r, bounded := node.RangeOf(f); bounded {
			one.bounds = &r
		}
		out = append(out, one)
	}
	return out
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	return keys
}
