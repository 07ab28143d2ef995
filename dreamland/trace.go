package dreamland

import (
	"bufio"
	"fmt"
	"io"
	"os"
)

// traceWriter is where the lines of a trace go.
type traceWriter interface {
	io.Writer
	close() error
}

// openTrace returns nil for no name. What has been written to a file is there
// even if this process dies; on a pipe, what is buffered is lost.
func openTrace(name string) (traceWriter, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return nil, fmt.Errorf("--trace: %w", err)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return newBufferedTrace(f), nil
	}
	t, err := mapTrace(f)
	if err != nil {
		return nil, fmt.Errorf("--trace: %s: %w", name, err)
	}
	return t, nil
}

type bufferedTrace struct {
	*bufio.Writer
	file *os.File
}

func newBufferedTrace(f *os.File) *bufferedTrace {
	return &bufferedTrace{Writer: bufio.NewWriterSize(f, 1<<20), file: f}
}

func (t *bufferedTrace) close() error {
	if err := t.Flush(); err != nil {
		return err
	}
	return t.file.Close()
}
