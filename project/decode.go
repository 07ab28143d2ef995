package project

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/taucloud/tau/yamltree"
)

// decoder makes a project of values.
type decoder struct {
	problems
	form    Form
	project *Project
	origins map[Ref]*origin
	count   int // of resources
	size    int // bytes of all files
}

// origin is where a resource was read.
type origin struct {
	file  string
	form  Form
	table *table
	name  *yamltree.Value // its key in tau.yaml, or its file's first place
	value *yamltree.Value // its mapping
}

// place is where a field was read, or an item of it; the resource itself if it was not.
func (o *origin) place(mono string, item int) *yamltree.Value {
	f := o.table.field(mono)
	if f == nil {
		return o.name
	}
	for _, path := range f.paths(o.form) {
		v := o.value
		for _, key := range strings.Split(path, ".") {
			if v != nil {
				v = v.Get(key)
			}
		}
		if v != nil && v.Kind == yamltree.Sequence && item >= 0 && item < len(v.Items) {
			return v.Items[item]
		}
		if v != nil && v.Kind != yamltree.Null {
			return v
		}
	}
	return o.name
}

// resource reads one resource into a scope.
func (d *decoder) resource(o *origin, ref Ref, s *Scope) {
	if d.count++; d.count > ResourcesMax {
		if d.count == ResourcesMax+1 {
			d.fail(o.file, o.name, "split the project", "a project has at most %d resources", ResourcesMax)
		}
		return
	}
	if what, _ := nameRule.wrong(ref.Name); what != "" {
		d.fail(o.file, o.name, "it is the name of the "+o.table.one, "%s", what)
		return
	}
	r := o.table.new()
	r.base().Name = ref.Name
	failures := d.failures
	d.fields(o, r)
	if o.table.finish != nil && d.failures == failures {
		o.table.finish(d, o, r)
	}
	d.origins[ref] = o
	o.table.add(s, r)
}

// fields reads what a mapping says of a resource, and fills in what it does not say. Keys of also are somebody else's.
func (d *decoder) fields(o *origin, r any, also ...string) {
	v := o.value
	switch {
	case v.Kind == yamltree.Scalar && o.table.short != "" && o.form == Mono:
		f := o.table.field(o.table.short)
		v = &yamltree.Value{Kind: yamltree.Mapping, Line: v.Line, Col: v.Col, Entries: []yamltree.Entry{{Key: &yamltree.Value{Kind: yamltree.Scalar, Text: f.mono, Line: v.Line, Col: v.Col}, Value: v}}}
		o.value = v
	case v.Kind == yamltree.Null && o.form == Mono:
	case v.Kind != yamltree.Mapping:
		d.fail(o.file, v, "keys: "+yamltree.List(o.table.trie(o.form).keys), "%s is a mapping, found %s", aOrAn(o.table.one), v)
		return
	}
	w := walker{decoder: d, origin: o, target: r, set: map[*field]*yamltree.Value{}}
	w.walk(o.table.trie(o.form), v, "", also)
	for i := range o.table.fields {
		f := &o.table.fields[i]
		switch {
		case f.in == nil || w.set[f] != nil:
		case f.required:
			d.fail(o.file, o.name, fmt.Sprintf("write %s: %s", f.name(o.form), f.example), "%s: %s is missing", o.table.one, f.name(o.form))
		case f.initial != "":
			w.text(f, f.in(r), &yamltree.Value{Kind: yamltree.Scalar, Text: f.initial})
		}
	}
}

// walker reads the mapping of one resource.
type walker struct {
	*decoder
	origin *origin
	target any
	set    map[*field]*yamltree.Value
}

func (w *walker) walk(node *trie, v *yamltree.Value, path string, also []string) {
	for _, e := range v.Entries {
		key, at := e.Key.Text, path+e.Key.Text
		child := node.below[key]
		switch {
		case slices.Contains(also, key) && path == "":
			continue
		case child == nil && at == "name" && w.origin.form == Repository && w.origin.table != projectTable:
			w.named(e.Value)
			continue
		case child == nil:
			if child = w.unknown(node, v, e.Key, path, also); child == nil {
				continue
			}
		}
		switch {
		case child.field != nil:
			w.take(child.field, at, e)
		case e.Value.Kind == yamltree.Mapping:
			w.walk(child, e.Value, at+".", nil)
		case e.Value.Kind != yamltree.Null:
			w.fail(w.origin.file, e.Value, "keys: "+yamltree.List(child.keys), "%s: expected a mapping, found %s", at, e.Value)
		}
	}
}

// named checks a name that a file says itself.
func (w *walker) named(v *yamltree.Value) {
	if name := w.target.(resource).base().Name; v.Kind != yamltree.Null && v.Text != name {
		w.fail(w.origin.file, v, "remove it, or rename the file", "name: expected %s, the name of the file, found %s", yamltree.Quote(name), v)
	}
}

// unknown reports a key that is not known, and returns what was probably meant by it, so that nothing is said to be
// missing on top.
func (w *walker) unknown(node *trie, v, key *yamltree.Value, path string, also []string) *trie {
	form, known := w.origin.form, slices.Concat(node.keys, also)
	if other := w.elsewhere(path + key.Text); other != "" {
		w.fail(w.origin.file, key, other, "unknown key %s", yamltree.Quote(path+key.Text))
		return nil
	}
	w.fail(w.origin.file, key, yamltree.Suggest(key.Text, known), "unknown key %s of %s", yamltree.Quote(path+key.Text), aOrAn(w.origin.table.one))
	meant, close := yamltree.Misspelt(key.Text, node.keys)
	if !close || v.Get(meant) != nil || form == "" {
		return nil
	}
	return node.below[meant]
}

// elsewhere is a hint for a key that the other form has, or has at another place.
func (w *walker) elsewhere(path string) string {
	form, other := Repository, Mono
	if w.origin.form == Mono {
		form, other = Mono, Repository
	}
	where := map[Form]string{Mono: "in tau.yaml", Repository: "in a configuration repository"}[form]
	for i := range w.origin.table.fields {
		f := &w.origin.table.fields[i]
		for _, theirs := range f.paths(other) {
			switch {
			case theirs == path && f.path(form) != "":
				return fmt.Sprintf("%s this is %s", where, f.path(form))
			case theirs == path && f.ignored == "":
				return fmt.Sprintf("%s there is no such key", where)
			case strings.HasPrefix(theirs, path+".") && f.path(form) != "":
				first := f.path(form)
				return fmt.Sprintf("%s what is below %s has keys of its own: %s is %s", where, path, theirs, first)
			}
		}
	}
	return ""
}

// take reads the value of a field.
func (w *walker) take(f *field, at string, e yamltree.Entry) {
	v := e.Value
	if f.in == nil {
		w.warn(w.origin.file, e.Key, "remove it: "+f.ignored, "%s has no effect", at)
		return
	}
	if v.Kind == yamltree.Null || v.Kind == yamltree.Scalar && v.Text == "" {
		return // as tools write what was left out
	}
	if first := w.set[f]; first != nil && !isList(f.in(w.target)) {
		w.fail(w.origin.file, e.Key, "keep one of them", "%s: it is given twice, the first time in line %d", at, first.Line)
		return
	}
	w.set[f] = v
	switch dst := f.in(w.target).(type) {
	case *[]string:
		w.list(f, dst, at, v)
	case *map[string]string:
		w.mapping(f, dst, at, v)
	case *map[string]Cloud:
		w.clouds(f, dst, at, v)
	default:
		if v.Kind != yamltree.Scalar {
			w.fail(w.origin.file, v, exampleOf(at, f), "%s: expected one value, found %s", at, v)
			return
		}
		w.text(f, dst, v)
	}
}

// exampleOf is a hint, "" if a field has no example.
func exampleOf(at string, f *field) string {
	if f.example == "" {
		return ""
	}
	return "write " + at + ": " + f.example
}

func isList(dst any) bool { _, ok := dst.(*[]string); return ok }

// text reads a scalar.
func (w *walker) text(f *field, dst any, v *yamltree.Value) {
	wrong := func(hint, format string, args ...any) {
		what := f.name(w.origin.form) + ": " + fmt.Sprintf(format, args...)
		hint = cmp.Or(hint, exampleOf(f.name(w.origin.form), f))
		w.fail(w.origin.file, v, hint, "%s", what)
	}
	if len(v.Text) > textLenMax && !f.secret && f.mono != "" || len(v.Text) > ResourceLenMax {
		wrong("shorten it", "a text of %d bytes, expected at most %d", len(v.Text), textLenMax)
		return
	}
	if what, hint := f.rule.wrong(v.Text); what != "" {
		wrong(hint, "%s", what)
		return
	}
	text := f.rule.normal(v.Text)
	switch dst := dst.(type) {
	case *string:
		*dst = text
	case *[]string:
		*dst = []string{text}
	case *bool:
		if text != "true" && text != "false" {
			wrong("write true or false", "expected true or false, found %s", v)
			return
		}
		*dst = text == "true"
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > f.rule.max {
			wrong("", "expected a number from 1 to %d, found %s", f.rule.max, v)
			return
		}
		*dst = n
	case *Size:
		n, ok := ParseSize(text)
		if n == 0 && ok && w.unlimited(f, v) {
			n, ok = ParseSize(f.initial)
		}
		if !ok || n == 0 || n > 1<<60 {
			wrong("", "expected a size of at least 1B and at most 1 EiB, found %s", v)
			return
		}
		*dst = n
	case *Duration:
		n, ok := ParseDuration(text)
		if n == 0 && ok && w.unlimited(f, v) {
			n, ok = ParseDuration(f.initial)
		}
		if !ok || n == 0 {
			wrong("", "expected more than no time, found %s", v)
			return
		}
		*dst = n
	default:
		panic(fmt.Sprintf("project: %s is of a type that files cannot have: %T", f.mono, dst))
	}
}

// unlimited reports whether nought stands for no limit, as it does in configuration repositories: here there is always
// one.
func (w *walker) unlimited(f *field, v *yamltree.Value) bool {
	if w.origin.form != Repository || f.initial == "" {
		return false
	}
	w.warn(w.origin.file, v, "write what it may have", "%s: there is no unlimited one: it is %s", f.name(w.origin.form), f.initial)
	return true
}

// list reads a list, or one item for a list of one. What is there twice is once, unless the field says otherwise.
func (w *walker) list(f *field, dst *[]string, at string, v *yamltree.Value) {
	items := []*yamltree.Value{v}
	switch {
	case v.Kind == yamltree.Mapping:
		w.fail(w.origin.file, v, "write "+at+": "+f.example, "%s: expected a list, found %s", at, v)
		return
	case v.Kind == yamltree.Sequence:
		items = v.Items
	}
	if len(items) > itemsMax {
		w.fail(w.origin.file, v, "shorten it", "%s: a list of %d, expected at most %d", at, len(items), itemsMax)
		return
	}
	for _, item := range items {
		var text string
		if item.Kind != yamltree.Scalar {
			w.fail(w.origin.file, item, "write "+at+": "+f.example, "%s: expected a list of texts, found %s in it", at, item)
			continue
		}
		if w.text(f, &text, item); text != "" && (f.ordered || !slices.Contains(*dst, text)) {
			*dst = append(*dst, text)
		}
	}
}

// entries are those of a mapping whose keys are as a field's rule says.
func (w *walker) entries(f *field, at string, v *yamltree.Value) []yamltree.Entry {
	switch {
	case v.Kind != yamltree.Mapping:
		w.fail(w.origin.file, v, "write "+at+": "+f.example, "%s: expected a mapping, found %s", at, v)
		return nil
	case len(v.Entries) > itemsMax:
		w.fail(w.origin.file, v, "shorten it", "%s: a mapping of %d keys, expected at most %d", at, len(v.Entries), itemsMax)
		return nil
	}
	var good []yamltree.Entry
	for _, e := range v.Entries {
		if what, hint := f.rule.keys.wrong(e.Key.Text); what != "" {
			w.fail(w.origin.file, e.Key, cmp.Or(hint, "write "+at+": "+f.example), "%s: %s", at, what)
			continue
		}
		good = append(good, e)
	}
	return good
}

func (w *walker) mapping(f *field, dst *map[string]string, at string, v *yamltree.Value) {
	for _, e := range w.entries(f, at, v) {
		if e.Value.Kind != yamltree.Scalar || len(e.Value.Text) > textLenMax {
			w.fail(w.origin.file, e.Value, "write "+at+": "+f.example, "%s.%s: expected a text of at most %d bytes, found %s", at, e.Key.Text, textLenMax, e.Value)
			continue
		}
		if *dst == nil {
			*dst = map[string]string{}
		}
		(*dst)[e.Key.Text] = e.Value.Text
	}
}

func (w *walker) clouds(f *field, dst *map[string]Cloud, at string, v *yamltree.Value) {
	for _, e := range w.entries(f, at, v) {
		var c Cloud
		for _, say := range e.Value.Entries {
			switch to := map[string]*string{"account": &c.Account, "plan": &c.Plan}[say.Key.Text]; {
			case to == nil:
				w.fail(w.origin.file, say.Key, yamltree.Suggest(say.Key.Text, []string{"account", "plan"}), "unknown key %s of a cloud", yamltree.Quote(say.Key.Text))
			default:
				w.text(f, to, say.Value)
			}
		}
		if e.Value.Kind != yamltree.Mapping {
			w.fail(w.origin.file, e.Value, "write "+at+": "+f.example, "%s.%s: expected a mapping with account and plan, found %s", at, e.Key.Text, e.Value)
			continue
		}
		if *dst == nil {
			*dst = map[string]Cloud{}
		}
		(*dst)[f.rule.keys.normal(e.Key.Text)] = c
	}
}

// aOrAn is a word with its article.
func aOrAn(word string) string {
	if strings.ContainsAny(word[:1], "aeiou") {
		return "an " + word
	}
	return "a " + word
}
