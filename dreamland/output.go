package dreamland

import "io"

// checkedWriter remembers that something could not be written: a report that
// nobody gets must not look like success.
type checkedWriter struct {
	out io.Writer
	err error
}

// Write writes nothing after the first error.
func (w *checkedWriter) Write(data []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.out.Write(data)
	w.err = err
	return n, err
}
