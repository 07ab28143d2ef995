package build

import (
	"bytes"
	"compress/gzip"
	"path"
	"slices"
	"strings"
)

// PackedComment marks files of a website's archive that are another one, packed: FILE.gz, which nobody asks for by this name.
const PackedComment = "packed"

const (
	// packMin and packMax are how long a file is that is packed, in bytes: it takes memory and time of the builder.
	packMin, packMax = 1 << 10, 8 << 20
	// packTotal bounds an archive with what was packed, in bytes, and packFiles its files: what is more is not packed.
	packTotal, packFiles = 16 << 20, 5000
)

// packable are the extensions of what gets shorter when it is packed.
var packable = []string{
	".bmp", ".css", ".csv", ".eot", ".htm", ".html", ".ico", ".ics", ".js", ".json", ".jsonld", ".map", ".md", ".mjs", ".otf", ".rss", ".svg", ".ttf", ".txt", ".wasm",
	".webmanifest", ".xhtml", ".xml",
}

// packedOf are the files of a website that are worth it, packed with gzip: by a tenth shorter at least, and not there already.
func packedOf(files []File) (packed []File) {
	total, names := 0, make(map[string]bool, len(files))
	for _, f := range files {
		total += len(f.Data)
		names[f.Path] = true
	}
	for _, f := range files {
		name := f.Path + ".gz"
		base := path.Base(f.Path)
		if len(f.Data) < packMin || len(f.Data) > packMax || names[name] || strings.HasPrefix(base, "_") || !slices.Contains(packable, strings.ToLower(path.Ext(base))) {
			continue
		}
		data := gzipped(f.Data)
		if len(data) > len(f.Data)/10*9 {
			continue
		}
		if total += len(data); total > packTotal || len(files)+len(packed) >= packFiles {
			break
		}
		packed = append(packed, File{name, data})
	}
	return packed
}

// gzipped is the same for equal content: no name, no time.
func gzipped(data []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is one
	}
	_, _ = w.Write(data) // to memory
	_ = w.Close()
	return out.Bytes()
}
