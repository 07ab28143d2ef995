// Package yamltree reads the subset of YAML that files for people are made of - keys, lists, values -
// into values that know their places, and has what a strict reader of such files needs beside: errors
// with file, line, column and hint, and suggestions for words that were misspelt. What the words of
// a file are it does not know.
package yamltree

import "fmt"

// Value is a part of a file with its place.
type Value struct {
	Kind      Kind
	Line, Col int    // from 1
	Text      string // of a scalar
	Quoted    bool   // the scalar was in quotes
	Items     []*Value
	Entries   []Entry
}

// Kind is what a value is.
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Scalar
	Sequence
	Mapping
)

// Entry is a key of a mapping, a scalar, and its value.
type Entry struct{ Key, Value *Value }

func (v *Value) String() string {
	switch v.Kind {
	case Null:
		return "nothing"
	case Sequence:
		return "a list"
	case Mapping:
		if len(v.Entries) == 0 {
			return "an empty mapping"
		}
		return "a mapping"
	}
	return Quote(v.Text)
}

// Get returns the value of a key of a mapping, nil if it has none.
func (v *Value) Get(key string) *Value {
	for _, e := range v.Entries {
		if e.Key.Text == key {
			return e.Value
		}
	}
	return nil
}

// textMax bounds the text that a message quotes from a file.
const textMax = 60

// Quote makes any text of a file printable in a message.
func Quote(s string) string {
	runes := []rune(s)
	if len(runes) > textMax {
		s = string(runes[:textMax]) + "..."
	}
	return fmt.Sprintf("%q", s)
}
