package build

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"path"
	"slices"
)

// JavaScriptMark begins an asset that is no module but a bundle of JavaScript, which is run as it is.
const JavaScriptMark = "//tau:javascript\n"

// isBundle reports whether an asset is one.
func isBundle(asset []byte) bool { return bytes.HasPrefix(asset, []byte(JavaScriptMark)) }

// packageLenMax bounds how much of a package.json is looked at, in bytes.
const packageLenMax = 1 << 20

// JavaScriptEntry is the file that a folder's program in JavaScript or TypeScript begins with, "" if there is none: what package.json names as module or
// main, or index, main or worker, in the folder or in src. Has reports whether there is a file, read reads it.
func JavaScriptEntry(has func(name string) bool, read func(name string) []byte) string {
	extensions := []string{".ts", ".js", ".mjs", ".tsx", ".jsx", ".mts"}
	var described struct{ Module, Main string }
	if has("package.json") {
		if text := read("package.json"); len(text) <= packageLenMax {
			_ = json.Unmarshal(text, &described) // the bundler says what is wrong with it
		}
	}
	for _, named := range []string{described.Module, described.Main} {
		if named = path.Clean("/" + named)[1:]; slices.Contains(extensions, path.Ext(named)) && has(named) {
			return named
		}
	}
	for _, folder := range []string{"", "src/"} {
		for _, name := range []string{"index", "main", "worker"} {
			for _, extension := range extensions {
				if file := folder + name + extension; has(file) {
					return file
				}
			}
		}
	}
	return ""
}

// script tells how a folder of TypeScript or JavaScript is built, "" if it has none. AssemblyScript looks like TypeScript: it has a package.json that
// names its compiler, or the compiler's own files.
func (s *Step) script(fsys fs.FS) Toolchain {
	read := func(name string) []byte {
		text, _ := fs.ReadFile(fsys, path.Join(s.Folder, name))
		return text
	}
	described := has(fsys, s.Folder, "package.json")
	entry := JavaScriptEntry(func(name string) bool { return has(fsys, s.Folder, name) }, read)
	switch {
	case described && (has(fsys, s.Folder, "asconfig.json") || has(fsys, s.Folder, "assembly/index.ts") || bytes.Contains(read("package.json"), []byte("assemblyscript"))):
		return AssemblyScript
	case entry != "":
		return JavaScript
	case described: // its compiler says what is missing
		return AssemblyScript
	}
	return ""
}
