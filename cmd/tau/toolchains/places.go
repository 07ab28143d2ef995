package toolchains

import (
	"path"
	"regexp"

	"github.com/taucloud/tau/project/build"
)

// place is where compilers say that something is: main.go:3:7, ./main.c:3:7, or index.ts(3,7).
var place = regexp.MustCompile(`(^|[\s(\[])(?:\./)?([^\s:()\[\]]+)(:\d|\(\d+,\d)`)

// fromRoot returns a function that names the files of an order's folder, where a compiler says a place in one, by their paths from the root of the
// project: whoever has pushed looks for them there. What scripts say is theirs, and stays as it is.
func fromRoot(o Order, line func(string)) func(string) {
	if o.Step.Toolchain == build.Script || o.Step.Toolchain == build.Container {
		return line
	}
	files := make(map[string]bool, len(o.Files))
	for _, f := range o.Files {
		files[f.Path] = true
	}
	return func(text string) {
		line(place.ReplaceAllStringFunc(text, func(found string) string {
			parts := place.FindStringSubmatch(found)
			if !files[path.Clean(parts[2])] {
				return found
			}
			return parts[1] + path.Join(o.Step.Folder, parts[2]) + parts[3]
		}))
	}
}
