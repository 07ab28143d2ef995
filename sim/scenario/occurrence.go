package scenario

import (
	"strconv"
	"strings"
)

// occurrenceMark stands for which occurrence of its entry an action is, from 0: branch
// "b-{n}" is another one each time.
const occurrenceMark = "{n}"

// Numbered fills the number of an occurrence in.
func Numbered(n int, texts ...*string) {
	for _, text := range texts {
		*text = strings.ReplaceAll(*text, occurrenceMark, strconv.Itoa(n))
	}
}
