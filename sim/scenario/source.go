package scenario

import "github.com/taucloud/tau/yamltree"

// FileLenMax bounds a scenario file, in bytes. A larger file is refused before it is parsed.
const FileLenMax = 1 << 20

// dialect is that of scenario files.
var dialect = yamltree.Dialect{
	LenMax: FileLenMax, Nesting: 32, Keys: 1000,
	Large:   "a scenario is text that a person can read; large inputs belong into fixtures",
	Empty:   "a scenario is a mapping with at least duration and nodes",
	Excess:  "nothing in a scenario needs that",
	Alias:   `if this is meant to select nodes, put it in quotes: "*"`,
	Several: "put each scenario in a file of its own",
}

// value is a part of the file with its position: the subset of YAML that
// scenarios are made of.
type value struct {
	kind      kind
	line, col int
	text      string // of a scalar
	quoted    bool   // the scalar was in quotes
	items     []*value
	entries   []entry
}

type kind = yamltree.Kind

const (
	null     = yamltree.Null
	scalar   = yamltree.Scalar
	sequence = yamltree.Sequence
	mapping  = yamltree.Mapping
)

func (v *value) String() string {
	switch v.kind {
	case null:
		return "nothing"
	case sequence:
		return "a list"
	case mapping:
		if len(v.entries) == 0 {
			return "an empty mapping"
		}
		return "a mapping"
	}
	return quote(v.text)
}

// get returns the value of a key of a mapping, nil if it has none.
func (v *value) get(key string) *value {
	for _, e := range v.entries {
		if e.key.text == key {
			return e.value
		}
	}
	return nil
}

// place is the value of a key, for messages, or the mapping itself if it has none.
func (v *value) place(key string) *value {
	if at := v.get(key); at != nil {
		return at
	}
	return v
}

// path follows keys from one mapping to the next, nil if one is missing. v may be
// nil.
func (v *value) path(keys []string) *value {
	for _, key := range keys {
		if v == nil {
			return nil
		}
		v = v.get(key)
	}
	return v
}

type entry struct{ key, value *value }

// read turns a file into values. It returns nil if there is nothing to go on
// with.
func (d *decoder) read(data []byte) *value {
	root, wrong := yamltree.Read(d.file, data, dialect)
	for _, e := range wrong {
		d.failAt(e.Line, e.Col, e.Hint, "%s", e.What)
	}
	if root == nil {
		return nil
	}
	return valueOf(root)
}

// valueOf is a value that scenarios can work with.
func valueOf(from *yamltree.Value) *value {
	v := &value{kind: from.Kind, line: from.Line, col: from.Col, text: from.Text, quoted: from.Quoted}
	for _, item := range from.Items {
		v.items = append(v.items, valueOf(item))
	}
	for _, e := range from.Entries {
		v.entries = append(v.entries, entry{valueOf(e.Key), valueOf(e.Value)})
	}
	return v
}
