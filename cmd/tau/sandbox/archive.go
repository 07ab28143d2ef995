package sandbox

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// feed writes an archive of the node's own, if there is one, and then the files: tar takes both, one after the other.
func feed(out io.Writer, base string, files []File) error {
	if base != "" {
		f, err := os.Open(base)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := io.Copy(out, f); err != nil {
			return err
		}
	}
	return archive(out, files)
}

// archive writes files as a tar archive: plain files, readable and executable for their owner.
func archive(out io.Writer, files []File) error {
	w := tar.NewWriter(out)
	for _, f := range files {
		if f.Path != path.Clean(f.Path) || path.IsAbs(f.Path) || f.Path == "." || f.Path == ".." || strings.HasPrefix(f.Path, "../") {
			return fmt.Errorf("sandbox: %q is no path below a folder", f.Path)
		}
		// Without a time of its own each file is as old as the epoch: toolchains that look at times see the same each time.
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Mode: 0o755, Size: int64(len(f.Data))}); err != nil {
			return err
		}
		if _, err := w.Write(f.Data); err != nil {
			return err
		}
	}
	return w.Close()
}
