package dreamland

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// commandEnv tells a worker what its parent is called.
const commandEnv = "DREAMLAND_COMMAND"

// commandName is how people call this program: as it says itself, or as it was
// called. What go run has built is gone when it has run, so then it is go run again.
func commandName(own string) string {
	name := cmp.Or(own, os.Getenv(commandEnv))
	if name == "" {
		name = os.Args[0]
		if pkg, ok := packageHere(); ok && builtByGoRun() {
			name = "go run " + pkg
		}
	}
	_ = os.Setenv(commandEnv, name) // for the workers; without it they say another name
	return name
}

// packageHere is the package of this program as go run takes it in the directory of
// its module.
func packageHere() (string, bool) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", false
	}
	rest, below := strings.CutPrefix(info.Path, info.Main.Path)
	if info.Path == "command-line-arguments" || !below {
		return "", false
	}
	return "." + rest, true
}

// builtByGoRun reports whether the program lies where go run builds.
func builtByGoRun() bool {
	self, err := os.Executable()
	return err == nil && strings.Contains(filepath.ToSlash(self), "/go-build")
}
