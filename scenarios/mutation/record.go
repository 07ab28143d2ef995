package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// result is a line of the record and of --json.
type result struct {
	Tree string `json:"tree"` // the fingerprint of all files
	identity
	Asked string `json:"asked"` // the kinds of trials, and their bounds
	Name  string `json:"name"`
	Line  int    `json:"line"`
	finding
	Seconds float64 `json:"seconds"`
}

// record remembers what became of mutants, so that a run can be taken up again.
type record struct {
	file  *os.File
	known map[string]result // of this tree, by key
}

// openRecord reads a record. Lines of other trees only say which trials notice
// the mutants of which packages.
func openRecord(path, tree string, hint func(folder, trial string)) (*record, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	r := &record{file, map[string]result{}}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one result
		if json.Unmarshal(bytes.TrimSpace(lines.Bytes()), &one) != nil {
			continue // torn by the end of a run
		}
		if one.Noticed {
			hint(one.folder(), one.By)
		}
		if one.Tree == tree {
			r.known[one.key()] = one
		}
	}
	return r, lines.Err()
}

func (r *record) add(one result) error {
	r.known[one.key()] = one
	raw, err := json.Marshal(one)
	if err != nil {
		return err
	}
	_, err = r.file.Write(append([]byte("\n"), append(raw, '\n')...))
	return err
}

// fingerprint is a hash of all files of the module.
func fingerprint(root string) (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || strings.HasPrefix(d.Name(), ".") || strings.HasSuffix(path, ".md") {
			return nil
		}
		text, err := os.ReadFile(path)
		below, _ := filepath.Rel(root, path)
		fmt.Fprintf(sum, "%s %d\n", below, len(text))
		sum.Write(text)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)[:8]), err
}
