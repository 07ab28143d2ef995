package patrickapi

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/transport"
)

// CheckName says what is wrong with the name of a repository, branch or commit, nil if nothing is: 1 to
// NameLenMax bytes of printable UTF-8, of parts between slashes none of which is empty, ".", ".." or begins or ends with a
// space. People read names in terminals, and they become parts of paths and addresses.
func CheckName(what, name string) error {
	wrong := ""
	switch {
	case name == "" || len(name) > NameLenMax:
		wrong = fmt.Sprintf("it has 1 to %d bytes", NameLenMax)
	case !utf8.ValidString(name):
		wrong = "it is UTF-8"
	case strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0:
		wrong = "it has printable characters only"
	case strings.Contains(name, `\`):
		wrong = "it has no backslashes"
	}
	for part := range strings.SplitSeq(name, "/") {
		if wrong == "" && (part == "" || part == "." || part == ".." || strings.TrimSpace(part) != part) {
			wrong = `its parts between slashes are not empty, not "." or "..", and have no spaces around them`
		}
	}
	if wrong != "" {
		return invalidName(fmt.Sprintf("%q is no name of a %s: %s", name[:min(len(name), 64)], what, wrong))
	}
	return nil
}

// CheckProject says what is wrong with what is said to be a project: [project.CheckIdentifier], as an error of calls.
func CheckProject(name string) error {
	if err := project.CheckIdentifier(name); err != nil {
		return invalidName(err.Error())
	}
	return nil
}

func invalidName(text string) error { return transport.New(transport.Invalid, "patrick/name", text) }
