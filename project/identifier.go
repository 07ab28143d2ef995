package project

import (
	"fmt"
)

var identifier = lazily(idRule.pattern)

// CheckIdentifier says what is wrong with what the cloud knows a project by, nil if nothing is. It is the project's id or its
// name, of which the rules are in this package: any name is an identifier, as any id is. Whoever takes one from outside, in a
// push, a question or a key, asks here; there is no second rule.
func CheckIdentifier(text string) error {
	if identifier().MatchString(text) {
		return nil
	}
	return fmt.Errorf("%q is no project: expected %s", text[:min(len(text), nameLenMax)], idRule.want)
}
