package yamltree

import (
	"fmt"
	"strings"
)

// listMax is how many known words a hint spells out.
const listMax = 30

// SuggestFew is Suggest that spells out at most so many words.
func SuggestFew(word string, known []string, most int) string {
	if _, close := Closest(word, known); close || len(known) <= most {
		return Suggest(word, known)
	}
	return "known: " + listOf(known, most)
}

// Suggest is a hint for a word that is none of known: the closest one, if one
// is close, else all of them.
func Suggest(word string, known []string) string {
	if len(known) == 0 {
		return "there are none"
	}
	if best, close := Closest(word, known); close {
		return DidYouMean(best)
	}
	return "known: " + List(known)
}

// Closest is the known word that was probably meant, if one is close.
func Closest(word string, known []string) (best string, close bool) {
	if best, close = Misspelt(word, known); close {
		return best, true
	}
	for _, k := range known {
		if len(word) >= 3 && len(word) <= wordLenMax && strings.Contains(k, word) {
			return k, true
		}
	}
	return "", false
}

// wordLenMax is how long a word may be for others to be compared with it, in bytes.
const wordLenMax = 64

// Misspelt is the known word of which a word is a misspelling, if there is one: what is
// only a part of a known word is none.
func Misspelt(word string, known []string) (best string, is bool) {
	if len(word) > wordLenMax {
		return "", false
	}
	bestDistance := 1 + max(1, len(word)/3)
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best, best != ""
}

// DidYouMean is the hint that names one word.
func DidYouMean(word string) string { return fmt.Sprintf("did you mean %q?", word) }

// List spells words out, at most listMax of them.
func List(words []string) string { return listOf(words, listMax) }

func listOf(words []string, most int) string {
	if n := len(words); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), n-most)
	}
	return strings.Join(words, ", ")
}

// distance counts the edits that make a into b, a swap of neighbours being one
// (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
