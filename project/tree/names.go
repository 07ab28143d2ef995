package tree

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// refusal says why a name of a path is not allowed, "" if it is. What is refused could mean something else to
// whoever reads it: another place to a file system of Windows or macOS, Git's own directory, a command to a terminal.
func refusal(part string) string {
	switch {
	case part == "":
		return "an empty name in the path"
	case part == "." || part == "..":
		return "a path with " + part + " in it"
	case !utf8.ValidString(part):
		return "a name that is not UTF-8"
	case strings.IndexFunc(part, hidden) >= 0:
		return "a name with a character that cannot be seen"
	case strings.ContainsAny(part, `\:*?"<>|`):
		return `a name with one of \ : * ? " < > |`
	case strings.HasSuffix(part, ".") || strings.HasSuffix(part, " "):
		return "a name that ends with a dot or a space"
	case isGit(part):
		return "a name that Git keeps for itself"
	case isDevice(part):
		return "a name that Windows keeps for a device"
	}
	return ""
}

// hidden reports whether a character has no look of its own: controls, formats such as those that change the
// direction of writing, what file systems ignore, private and unassigned ones.
func hidden(r rune) bool { return r != ' ' && !unicode.IsPrint(r) || unicode.Is(ignorable, r) }

// ignorable are those that print as nothing all the same: variation selectors and fillers
// (Default_Ignorable_Code_Point of Unicode, as far as they are not of the category Cf).
var ignorable = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x034f, Hi: 0x034f, Stride: 1}, {Lo: 0x115f, Hi: 0x1160, Stride: 1}, {Lo: 0x17b4, Hi: 0x17b5, Stride: 1},
		{Lo: 0x180b, Hi: 0x180f, Stride: 1}, {Lo: 0x3164, Hi: 0x3164, Stride: 1}, {Lo: 0xfe00, Hi: 0xfe0e, Stride: 1}, {Lo: 0xffa0, Hi: 0xffa0, Stride: 1},
	},
	R32: []unicode.Range32{{Lo: 0xe0100, Hi: 0xe01ef, Stride: 1}},
}

// isGit reports whether a name is .git on some file system: in any case, and by the short name of Windows. The
// spellings with characters that macOS ignores are refused as hidden.
func isGit(part string) bool {
	p := strings.ToLower(part)
	return p == ".git" || p == "git~1"
}

// isDevice reports whether Windows takes a name for a device, whatever follows a dot.
func isDevice(part string) bool {
	stem, _, _ := strings.Cut(strings.ToUpper(part), ".")
	switch stem = strings.TrimRight(stem, " "); stem {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	return len(stem) == 4 && (strings.HasPrefix(stem, "COM") || strings.HasPrefix(stem, "LPT")) && stem[3] >= '1' && stem[3] <= '9'
}

// fold is the same for two paths that some file system takes for one.
func fold(path string) string { return norm.NFC.String(cases.Fold().String(norm.NFD.String(path))) }

// shownMax bounds what is shown of a path, in bytes.
const shownMax = 200

// Shown is a path that can be printed: quoted if it holds what is not to be seen, shortened if it is long.
func Shown(path string) string {
	if len(path) > shownMax {
		return Shown(strings.ToValidUTF8(path[:shownMax], "")) + "..."
	}
	if !utf8.ValidString(path) || strings.IndexFunc(path, hidden) >= 0 || path == "" {
		return fmt.Sprintf("%+q", path)
	}
	return path
}
