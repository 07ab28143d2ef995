package toolchains

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/project/build"
)

// TestPlacesAreFromTheRoot: a place in a file of the folder is told by its path from the project's root, and nothing else is touched.
func TestPlacesAreFromTheRoot(t *testing.T) {
	files := map[string]string{"main.go": "", "lib/a.h": "", "index.ts": ""}
	for text, want := range map[string]string{
		"./main.go:3:7: undefined: x":                             "functions/f/main.go:3:7: undefined: x",
		"main.go:3: missing":                                      "functions/f/main.go:3: missing",
		"warning: index.ts:1:2: odd":                              "warning: functions/f/index.ts:1:2: odd",
		"In file included from ./lib/a.h:3:":                      "In file included from functions/f/lib/a.h:3:",
		"ERROR TS2322: no.  in index.ts(3,7)":                     "ERROR TS2322: no.  in functions/f/index.ts(3,7)",
		"    at x (lib/a.h:2:3), main.go:1:1":                     "    at x (functions/f/lib/a.h:2:3), functions/f/main.go:1:1",
		"/opt/go/src/main.go:3:7: x":                              "/opt/go/src/main.go:3:7: x",
		"functions/f/main.go:3:7: x":                              "functions/f/main.go:3:7: x",
		"other.go:3:7: x":                                         "other.go:3:7: x",
		"main.go has no main, see http://main.go:80/ at 12:30:00": "main.go has no main, see http://main.go:80/ at 12:30:00",
	} {
		var got string
		fromRoot(order(build.Go, nil, files), func(l string) { got = l })(text)
		require.Equal(t, want, got)
		fromRoot(order(build.Script, nil, files), func(l string) { got = l })(text)
		require.Equal(t, text, got, "a script's words are its own")
	}
}
