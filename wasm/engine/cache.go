package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
)

// diskCache keeps compiled code in files of the runtime's, which are named by content, version of the runtime and processor.
// It keeps them within a number of bytes: the least recently used goes first. Which file is a module's, the runtime does not
// say: a note beside them says which appeared when it was compiled. A nil diskCache keeps nothing.
type diskCache struct {
	dir      string
	bytesMax int64
	compiled wazero.CompilationCache

	mu    sync.Mutex
	known map[string]bool // files whose module is known, or was there before
}

func openDiskCache(dir string, bytesMax int64) (*diskCache, error) {
	if dir == "" {
		return nil, nil
	}
	compiled, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, fmt.Errorf("engine: the cache of compiled code: %w", err)
	}
	d := &diskCache{dir: dir, bytesMax: bytesMax, compiled: compiled, known: map[string]bool{}}
	files, err := d.files()
	for _, f := range files {
		d.known[f.path] = true
	}
	return d, errors.Join(err, os.MkdirAll(d.notes(), 0o755))
}

func (d *diskCache) notes() string { return filepath.Join(d.dir, "modules") }

// compile compiles a module, or loads what was compiled of it.
func (d *diskCache) compile(rt wazero.Runtime, p Prepared) (wazero.CompiledModule, error) {
	ctx := context.Background()
	compiled, err := rt.CompileModule(ctx, p.Wasm)
	if d == nil {
		return compiled, err
	}
	if err != nil { // also if what lies there is damaged, or the disk is full: without the cache
		return nil, err
	}
	return compiled, d.used(hex.EncodeToString(p.ID[:]))
}

type cachedFile struct {
	path string
	len  int64
	used time.Time
}

func (d *diskCache) files() (list []cachedFile, err error) {
	err = filepath.WalkDir(d.dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case path == d.notes():
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		if info, err := entry.Info(); err == nil {
			list = append(list, cachedFile{path, info.Size(), info.ModTime()})
		}
		return nil
	})
	return list, err
}

// used notes that the code of a module was used, and removes what is too much.
func (d *diskCache) used(module string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	files, err := d.files()
	if err != nil {
		return fmt.Errorf("engine: the cache of compiled code: %w", err)
	}
	note := filepath.Join(d.notes(), module)
	if name, err := os.ReadFile(note); err == nil {
		now, path := time.Now(), filepath.Join(d.dir, filepath.Clean("/"+string(name)))
		_ = os.Chtimes(path, now, now)
		if at := slices.IndexFunc(files, func(f cachedFile) bool { return f.path == path }); at >= 0 {
			files[at].used = now
		}
	} else if added := slices.DeleteFunc(slices.Clone(files), func(f cachedFile) bool { return d.known[f.path] || strings.HasSuffix(f.path, ".tmp") }); len(added) == 1 {
		name, _ := filepath.Rel(d.dir, added[0].path)
		_ = os.WriteFile(note, []byte(name), 0o644) // without it the file looks older than it is
		d.known[added[0].path] = true
	}
	return d.trim(files)
}

func (d *diskCache) trim(files []cachedFile) error {
	slices.SortFunc(files, func(a, b cachedFile) int { return a.used.Compare(b.used) })
	total := int64(0)
	for _, f := range files {
		total += f.len
	}
	for _, f := range files[:max(len(files)-1, 0)] { // the newest stays
		if total <= d.bytesMax {
			break
		}
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("engine: the cache of compiled code: %w", err)
		}
		total -= f.len
		delete(d.known, f.path)
		d.forget(f.path)
	}
	return nil
}

// forget removes the notes of a file that is gone.
func (d *diskCache) forget(path string) {
	entries, _ := os.ReadDir(d.notes())
	for _, e := range entries {
		note := filepath.Join(d.notes(), e.Name())
		if name, err := os.ReadFile(note); err == nil && filepath.Join(d.dir, filepath.Clean("/"+string(name))) == path {
			_ = os.Remove(note)
		}
	}
}
