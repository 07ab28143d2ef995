package scenario

import (
	"regexp"
	"slices"
	"strconv"
)

// plain is text that means the same with and without quotes, wherever it stands.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./+-][A-Za-z0-9_./+%=-]*( [A-Za-z0-9_./+%=-]+)*$`)

// yaml is a value in one line. What was in quotes is in quotes again: a number
// in quotes is text.
func (v *value) yaml() string {
	switch v.kind {
	case null:
		return "null"
	case sequence:
		items := make([]string, len(v.items))
		for i, item := range v.items {
			items[i] = item.yaml()
		}
		return flow(items)
	case mapping:
		parts := make([]string, len(v.entries))
		for i, e := range v.entries {
			parts[i] = e.key.yaml() + ": " + e.value.yaml()
		}
		return mappingOf(parts)
	}
	if v.quoted || !plain.MatchString(v.text) {
		return strconv.Quote(v.text)
	}
	return v.text
}

// with is a mapping with another text for a key.
func (v *value) with(key, text string) *value {
	out := v.without(key)
	at := entry{key: &value{kind: scalar, text: key}, value: &value{kind: scalar, text: text}}
	out.entries = append([]entry{at}, out.entries...)
	return out
}

// without is a mapping that lacks a key.
func (v *value) without(key string) *value {
	out := *v
	out.entries = slices.DeleteFunc(slices.Clone(v.entries), func(e entry) bool { return e.key.text == key })
	return &out
}
