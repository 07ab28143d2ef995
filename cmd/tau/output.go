package main

import "io"

// checkedWriter remembers that something could not be written: what nobody gets must not look like success.
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

// lost is the error of what a command has printed before and nobody gets: who follows something stops at it.
func lost(out io.Writer) error {
	if w, is := out.(*checkedWriter); is {
		return w.err
	}
	return nil
}
