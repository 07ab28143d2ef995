//go:build !wasip1

package sdk

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed *.go
var files embed.FS

// Sources are the files of this package, by name, for projects that keep a copy of it. Those that are of no use there are left out.
func Sources() map[string]string {
	list := map[string]string{}
	names, err := fs.Glob(files, "*.go")
	for _, name := range names {
		var data []byte
		if data, err = files.ReadFile(name); err != nil {
			break
		}
		if name != "sources.go" && !strings.HasSuffix(name, "_test.go") {
			list[name] = string(data)
		}
	}
	if err != nil {
		panic(err) // it is embedded
	}
	return list
}
