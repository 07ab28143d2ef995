package dreamland

import (
	"os"
	"path/filepath"
	"strings"
)

// tempPrefix begins the names of all temporary directories.
const tempPrefix = "dreamland-"

// lockFile in a temporary directory is locked by the process whose directory it is.
const lockFile = ".lock"

// removeLeftovers removes temporary directories of processes that were killed, and so
// could not do it themselves.
func removeLeftovers() {
	dir, err := os.Open(os.TempDir())
	if err != nil {
		return
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what is not read now, the next process reads
	for _, name := range names {
		if strings.HasPrefix(name, tempPrefix) {
			removeDeserted(filepath.Join(os.TempDir(), name))
		}
	}
}
