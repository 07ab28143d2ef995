package build

import (
	"bytes"
	"compress/gzip"
	"path"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
)

// PackedComment marks files of a website's archive that are another one, packed: FILE.br and FILE.gz, which nobody asks for by these names.
const PackedComment = "packed"

const (
	// packMin and packMax are how long a file is that is packed, in bytes: it takes memory and time of the builder.
	packMin, packMax = 1 << 10, 8 << 20
	// packTotal bounds an archive with what was packed, in bytes, and packFiles its files: what is more is not packed.
	packTotal, packFiles = 16 << 20, 5000
	// brotliBest is up to which length a file is packed with brotli as well as it can be, and brotliBestTotal how much of a website, in bytes: that takes a second for
	// each 200 KiB. Others are packed at brotliQuality, a hundred times as fast and by a tenth longer.
	brotliBest, brotliBestTotal, brotliQuality = 64 << 10, 512 << 10, 5
)

// packable are the extensions of what gets shorter when it is packed.
var packable = []string{
	".bmp", ".css", ".csv", ".eot", ".htm", ".html", ".ico", ".ics", ".js", ".json", ".jsonld", ".map", ".md", ".mjs", ".otf", ".rss", ".svg", ".ttf", ".txt", ".wasm",
	".webmanifest", ".xhtml", ".xml",
}

// packedOf are the files of a website that are worth it, packed with brotli and with gzip: by a tenth shorter at least, brotli's shorter than gzip's, and not
// there already.
func packedOf(files []File) (packed []File) {
	b, total, names := brotlier{left: brotliBestTotal}, 0, make(map[string]bool, len(files))
	for _, f := range files {
		total += len(f.Data)
		names[f.Path] = true
	}
	for _, f := range files {
		base := path.Base(f.Path)
		if len(f.Data) < packMin || len(f.Data) > packMax || strings.HasPrefix(base, "_") || !slices.Contains(packable, strings.ToLower(path.Ext(base))) {
			continue
		}
		most := len(f.Data) / 10 * 9
		for _, way := range []struct {
			suffix string
			pack   func([]byte) []byte
		}{{".gz", gzipped}, {".br", b.pack}} {
			if names[f.Path+way.suffix] {
				continue
			}
			data := way.pack(f.Data)
			if len(data) > most {
				break // the other way would not do much better
			}
			if total += len(data); total > packTotal || len(files)+len(packed) >= packFiles {
				return packed
			}
			packed = append(packed, File{f.Path + way.suffix, data})
			most = len(data) - 1
		}
	}
	return packed
}

// brotlier packs with brotli. What it makes is the same for equal files in the same order, as long as the library is.
type brotlier struct {
	left        int // of brotliBestTotal
	best, quick *brotli.Writer
}

func (b *brotlier) pack(data []byte) []byte {
	var out bytes.Buffer
	w, quality := &b.quick, brotliQuality
	if len(data) <= min(brotliBest, b.left) {
		b.left -= len(data)
		w, quality = &b.best, brotli.BestCompression
	}
	if *w == nil { // it is dear to make
		*w = brotli.NewWriterLevel(&out, quality)
	}
	(*w).Reset(&out)
	_, _ = (*w).Write(data) // to memory
	_ = (*w).Close()
	return out.Bytes()
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
