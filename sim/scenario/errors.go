package scenario

import "github.com/taucloud/tau/yamltree"

// Error is one error in a scenario file, with a hint.
type Error = yamltree.Error

// Errors are all errors that Parse found, in the order of the file.
type Errors = yamltree.Errors

const (
	// errorsMax is how many errors of one file are reported: the first ones.
	errorsMax = 20
	// errorsKept bounds how many are found, so that the first ones can be told.
	errorsKept = 10_000
)

// Suggest is a hint for a word that is none of known: the closest one, if one is
// close, else all of them.
func Suggest(word string, known []string) string { return yamltree.Suggest(word, known) }

// SuggestFew is Suggest that spells out at most so many words.
func SuggestFew(word string, known []string, most int) string {
	return yamltree.SuggestFew(word, known, most)
}

func suggest(word string, known []string) string { return yamltree.Suggest(word, known) }

func list(words []string) string { return yamltree.List(words) }

func closest(word string, known []string) (best string, close bool) {
	return yamltree.Closest(word, known)
}

func misspelt(word string, known []string) (best string, is bool) {
	return yamltree.Misspelt(word, known)
}

// quote makes any text of a file printable in a message.
func quote(s string) string { return yamltree.Quote(s) }
