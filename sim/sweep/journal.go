// Package sweep keeps what many runs came to: a file of results that grows with
// every run, survives whatever ends the program, and is gone on with. It does not
// know how runs are made.
package sweep

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/taucloud/tau/sim/report"
)

// Format is the version of files of results.
const Format = 1

// Header is the first line of a file of results: what the others are results of.
type Header struct {
	// Format is the version of the file, see [Format].
	Format int `json:"dreamland_results"`
	// Binary is the SHA-256 of the program, Revision the commit that it was built
	// from, if it knows.
	Binary   string `json:"binary"`
	Revision string `json:"revision,omitempty"`
	// Scenario is the name, SHA256 that of the text.
	Scenario string `json:"scenario"`
	SHA256   string `json:"scenario_sha256"`
	Wire     string `json:"wire"`
	Strict   bool   `json:"strict,omitempty"`
}

// Differs says in which way another header is of other runs, "" if it is not.
func (h Header) Differs(other Header) string {
	switch {
	case h.Format != other.Format:
		return fmt.Sprintf("it has format %d, and this program writes %d", other.Format, h.Format)
	case h.Scenario != other.Scenario || h.SHA256 != other.SHA256:
		return fmt.Sprintf("it is of another scenario, or of what %s was before it was edited", other.Scenario)
	case h.Wire != other.Wire:
		return fmt.Sprintf("it is of the %s wire", other.Wire)
	case h.Strict != other.Strict:
		return "it is of runs that were judged with another --strict"
	case h.Binary != other.Binary:
		built := "another build"
		if other.Revision != "" {
			built += ", from " + other.Revision
		}
		return "it is of " + built
	}
	return ""
}

// Entry is one line of a file of results: a run that has ended. Of the result the
// brief form is kept.
type Entry struct {
	report.Result
	// Reached is what the run reached that none before it had, in a swarm.
	Reached []string `json:"reached,omitempty"`
}

// lineLenMax bounds a line, in bytes.
const lineLenMax = 4 << 20

// Journal is a file of results that is open for more. At most one process has it.
type Journal struct {
	file *os.File
}

// Open opens a file of results or begins a new one, and returns what is in it. A last
// line that was not written whole is cut off. A file of other runs is an error.
func Open(name string, h Header) (*Journal, []Entry, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, nil, err
	}
	j := &Journal{file: f}
	entries, err := j.open(h)
	if err != nil {
		_ = f.Close() // the error says more
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return j, entries, nil
}

func (j *Journal) open(h Header) ([]Entry, error) {
	if err := lock(j.file); err != nil {
		return nil, errors.New("another dreamland is writing to it")
	}
	found, entries, whole, err := read(j.file)
	if err != nil {
		return nil, err
	}
	if err := j.file.Truncate(whole); err != nil {
		return nil, err
	}
	if found == nil {
		return nil, j.line(h)
	}
	if how := h.Differs(*found); how != "" {
		return nil, fmt.Errorf("%s; name another place, or remove it", how)
	}
	return entries, nil
}

// Add appends a run. The line is whole or is cut off by the next Open.
func (j *Journal) Add(e Entry) error {
	e.Result = e.Brief()
	return j.line(e)
}

func (j *Journal) line(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := j.file.Write(b.Bytes())
	return err
}

// Close ends the writing.
func (j *Journal) Close() error { return j.file.Close() }

// Read reads a file of results, also one that is being written to.
func Read(name string) (Header, []Entry, error) {
	f, err := os.Open(name)
	if err != nil {
		return Header{}, nil, err
	}
	defer f.Close()
	h, entries, _, err := read(f)
	if err == nil && h == nil {
		err = errors.New("there is no result in it")
	}
	if err != nil {
		return Header{}, nil, fmt.Errorf("%s: %w", name, err)
	}
	return *h, entries, nil
}

// read returns what is in a file and how many bytes of it are whole lines. The header
// is nil if there is none.
func read(f io.Reader) (h *Header, entries []Entry, whole int64, err error) {
	lines := bufio.NewReaderSize(f, 1<<16)
	for n := 1; ; n++ {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			return h, entries, whole, nil // a torn line has no end
		}
		if err != nil {
			return nil, nil, 0, fmt.Errorf("line %d: %w", n, err)
		}
		var wrong error
		if h == nil {
			h = &Header{}
			wrong = json.Unmarshal(line, h)
			if wrong == nil && h.Format == 0 {
				wrong = errors.New("no header")
			}
		} else {
			var e Entry
			wrong = json.Unmarshal(line, &e)
			entries = append(entries, e)
		}
		if wrong != nil {
			return nil, nil, 0, fmt.Errorf("line %d is none of a file of results: %w", n, wrong)
		}
		whole += int64(len(line))
	}
}

func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > lineLenMax {
			return nil, fmt.Errorf("longer than %d bytes", lineLenMax)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}
