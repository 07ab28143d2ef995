package toolchains

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/taucloud/tau/cmd/tau/sandbox"
	"github.com/taucloud/tau/project/build"
)

// scripts runs the workflow of a folder: shell scripts, one after the other, that leave what they make in $OUT.
func scripts() *tool {
	return &tool{
		version: "sh", secrets: true,
		script: func(step build.Step, _ []sandbox.File) (string, error) {
			var b strings.Builder
			b.WriteString("export SRC=\"$BUILD/" + source + "\" OUT=\"$BUILD/out\" HOME=\"$BUILD/home\"\nmkdir \"$OUT\" \"$HOME\"\n")
			for _, v := range step.Variables {
				b.WriteString("export " + v.Name + "=" + quoted(v.Value) + "\n")
			}
			for _, script := range step.Scripts {
				b.WriteString("echo " + quoted("+ "+script) + "\n(cd \"$SRC\" && sh -e " + quoted("./"+script) + ") || exit $?\n")
			}
			// Names in order and without times: equal files, equal archives.
			b.WriteString(`tar -C "$OUT" --sort=name --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$RESULT" .`)
			return b.String(), nil
		},
		finish: made,
	}
}

// outMax bounds the files that scripts leave.
const outMax = 10_000

// made takes what scripts have left: plain files only, since nobody follows links.
func made(step build.Step, archive []byte) ([]byte, error) {
	var files []build.File
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault("what the scripts have left in $OUT cannot be read: %v", err)
		}
		name := path.Clean(h.Name)
		switch {
		case h.Typeflag == tar.TypeDir:
			continue
		case h.Typeflag != tar.TypeReg:
			return nil, fault("the scripts have left %q in $OUT, which is no plain file", name)
		case path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../"):
			return nil, fault("the scripts have left %q, which is not in $OUT", name)
		case len(files) == outMax:
			return nil, fault("the scripts have left more than %d files in $OUT", outMax)
		}
		data, err := io.ReadAll(r) // it is in memory already
		if err != nil {
			return nil, fault("what the scripts have left in $OUT cannot be read: %v", err)
		}
		files = append(files, build.File{Path: name, Data: data})
	}
	asset, err := build.Left(step, files)
	if err != nil {
		return nil, fault("%v", err)
	}
	return asset, nil
}
