package cmdline

import "io"

// Output remembers that something could not be written: what nobody gets must not look like success.
type Output struct {
	out io.Writer
	err error
}

// NewOutput is what a command line prints to.
func NewOutput(out io.Writer) *Output { return &Output{out: out} }

// Write writes nothing after the first error.
func (w *Output) Write(data []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.out.Write(data)
	w.err = err
	return n, err
}

// Err is the first error.
func (w *Output) Err() error { return w.err }

// Lost is the error of what a command has printed before and nobody gets: who follows something stops at it.
func Lost(out io.Writer) error {
	if w, is := out.(*Output); is {
		return w.err
	}
	return nil
}
