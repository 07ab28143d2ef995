package dreamland

import (
	"regexp"
	"slices"
	"strings"

	"github.com/taucloud/tau/sim/scenario"
)

// beginningMin is how much of a name says which one is meant.
const beginningMin = 4

// suggestName is a hint for a name that is none: those that begin like it, or the
// closest one.
func suggestName(name string, known []string) string {
	known = slices.DeleteFunc(slices.Clone(known), func(k string) bool { return len(k) > hintLength || !typeable.MatchString(k) })
	if longer := beginWith(name, known); len(longer) > 0 {
		return "did you mean one of these? " + strings.Join(longer[:min(len(longer), hintNames)], " ")
	}
	return scenario.SuggestFew(name, known, hintNames)
}

// A hint is a line: names that are too long to type are no help.
const (
	hintNames  = 5  // that are spelt out
	hintLength = 64 // of each, in bytes: an id is shorter
)

// typeable is a name of something, and no text or list that a fact has.
var typeable = regexp.MustCompile(`^[\w./-]+$`)

// beginWith are the names that begin with a text that is long enough.
func beginWith(text string, names []string) (list []string) {
	for _, n := range names {
		if len(text) >= beginningMin && strings.HasPrefix(n, text) {
			list = append(list, n)
		}
	}
	return list
}
