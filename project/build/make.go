package build

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// Make carries out a step that needs no program; ok is false for any other. An error is the fault of whoever has pushed.
func Make(s Step, fsys fs.FS) (asset []byte, ok bool, err error) {
	switch s.Toolchain {
	case Prebuilt:
		asset, err = fs.ReadFile(fsys, modulePath(fsys, s.Folder))
		return asset, true, err
	case Static:
		asset, err = site(fsys, s.Folder)
		return asset, true, err
	}
	return nil, false, nil
}

// modulePath is where a module lies that was built before the push, "" if there is none.
func modulePath(fsys fs.FS, folder string) string {
	for _, name := range []string{"main.wasm", "artifact.wasm"} {
		if has(fsys, folder, name) {
			return path.Join(folder, name)
		}
	}
	return ""
}

// site packs the files of a folder. Files are stored as they are, so that each can be served out of the middle.
func site(fsys fs.FS, folder string) ([]byte, error) {
	names, err := FilesOf(fsys, folder)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("the website's folder %s has no files", folder)
	}
	files := make([]File, 0, len(names))
	for _, name := range names {
		data, err := fs.ReadFile(fsys, path.Join(folder, name))
		if err != nil {
			return nil, err
		}
		files = append(files, File{name, data})
	}
	return packSite(files)
}

// packSite makes the archive of a website, with what was packed of it.
func packSite(files []File) ([]byte, error) { return archive(files, packedOf(files)) }

// File is a file of a tree: a slash-separated, relative path, and its content.
type File struct {
	Path string
	Data []byte
}

// pack makes an archive, with nothing in it but paths and contents.
func pack(files []File) ([]byte, error) { return archive(files, nil) }

// archive makes one; those files of it that are others, packed, say so.
func archive(files, packed []File) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i, f := range slices.Concat(files, packed) {
		header := &zip.FileHeader{Name: f.Path, Method: zip.Store}
		if i >= len(files) {
			header.Comment = PackedComment
		}
		dst, err := w.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := dst.Write(f.Data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// FS is a file system of files that are in memory, which are copied.
func FS(files []File) (fs.FS, error) {
	packed, err := pack(files)
	if err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
}
