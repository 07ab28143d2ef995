package cmdline

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// ReadSecret reads a file, or in if none is named, without the newline at its end. Of what is longer than max bytes it returns more than
// that, and not all: the caller refuses it.
func ReadSecret(in io.Reader, file string, max int) ([]byte, error) {
	if file != "" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("--file: %w", err)
		}
		defer opened.Close()
		in = opened
	}
	const newline = len("\r\n")
	value, err := io.ReadAll(io.LimitReader(in, int64(max+newline+1)))
	return bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r")), err
}
