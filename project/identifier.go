package project

import (
	"fmt"
)

var (
	identifier = lazily(idRule.pattern)
	hostForm   = lazily(fqdnRule.pattern)
)

// CheckIdentifier says what is wrong with what the cloud knows a project by, nil if nothing is. It is the project's id or its
// name, of which the rules are in this package: any name is an identifier, as any id is. Whoever takes one from outside, in a
// push, a question or a key, asks here; there is no second rule.
func CheckIdentifier(text string) error {
	if identifier().MatchString(text) {
		return nil
	}
	return fmt.Errorf("%q is no project: expected %s", text[:min(len(text), nameLenMax)], idRule.want)
}

// CheckHost returns a domain name in the form in which hosts are compared, or what is wrong with it.
func CheckHost(text string) (string, error) {
	host := fqdnRule.normal(text)
	if !hostForm().MatchString(host) {
		return "", fmt.Errorf("%q is no host: expected %s", text[:min(len(text), nameLenMax)], fqdnRule.want)
	}
	return host, nil
}
