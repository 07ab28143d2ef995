package scenario

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Sound returns what is wrong with a vocabulary, nil if nothing is: its words are lower-case, of
// letters, digits and hyphens, each is there once, and none is a word of the language.
func (v *Vocabulary) Sound() error {
	var bad []error
	check := func(kind string, names, taken []string) {
		for i, name := range names {
			switch {
			case !nameForm.MatchString(name):
				bad = append(bad, fmt.Errorf("%s %q: expected a word of lower-case letters, digits and single hyphens", kind, name))
			case slices.Contains(taken, name):
				bad = append(bad, fmt.Errorf("%s %q: it is a word of every scenario; call it something else", kind, name))
			case slices.Contains(names[:i], name):
				bad = append(bad, fmt.Errorf("%s %q: there are two of that name", kind, name))
			}
		}
	}
	check("action", wordsOf(v.Actions, func(a Action) string { return a.Name }), verbsTaken())
	check("check", wordsOf(v.Checks, func(c Check) string { return c.Name }), nil)
	specs := append(slices.Clone(v.Services), v.Always...)
	services := make([]string, len(specs))
	for i := range specs {
		services[i] = specs[i].Name
	}
	check("service", services, nil)
	check("selector", wordsOf(v.Places, func(p Place) string { return p.Name }), slices.Concat(selectorKeys, qualityWords, reachWords))
	if len(bad) > 0 {
		return fmt.Errorf("the vocabulary: %w", errors.Join(bad...))
	}
	return nil
}

func wordsOf[T any](list []T, name func(T) string) (names []string) {
	for _, x := range list {
		names = append(names, name(x))
	}
	return names
}

// verbsTaken are the words that an entry of the timeline has without a vocabulary.
func verbsTaken() []string {
	names := append(keysOf(reflect.TypeFor[whenDoc]()), momentVerb)
	for _, v := range verbs {
		names = append(names, v.name)
	}
	return names
}
