package scenario

import (
	"reflect"
	"strings"

	"github.com/taucloud/tau/node"
)

// field is a key that a struct may have in a file.
type field struct {
	key     string
	doc     string
	example string
	index   []int
	typ     reflect.Type
	bounds  *node.Range // nil without a range
	values  []string    // the only words that it may be; empty: any
	// positive: zero would mean the same as leaving it out. mayBeEmpty: an empty list
	// means something.
	positive, mayBeEmpty bool
}

// fieldsOf lists the keys of a struct in order: its yaml tags, or the lower
// cased name of a field without one. Further tags say what values are refused if they are
// given: range (see [node.Range]), values:"a b" (all that there are), zero:"no" (zero), and
// that an empty list is not: empty:"yes".
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
		one := field{key: key, doc: f.Tag.Get("doc"), example: f.Tag.Get("example"), index: f.Index, typ: f.Type, values: strings.Fields(f.Tag.Get("values")),
			positive: f.Tag.Get("zero") == "no", mayBeEmpty: f.Tag.Get("empty") == "yes"}
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
