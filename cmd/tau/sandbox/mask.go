package sandbox

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"strings"
)

// secretMin is the length from which a text is taken for a secret, in bytes: a shorter one would black out half of what is said.
const secretMin = 4

// secretsOf are the texts that are masked: secrets, and each line of one that has several. The longest come first.
func secretsOf(values []string) (list [][]byte) {
	for _, v := range values {
		for _, text := range append(strings.Split(v, "\n"), v) {
			if text = strings.TrimSpace(text); len(text) >= secretMin {
				list = append(list, []byte(text))
			}
		}
	}
	slices.SortFunc(list, func(a, b []byte) int { return cmp.Or(cmp.Compare(len(b), len(a)), bytes.Compare(a, b)) })
	return slices.CompactFunc(list, bytes.Equal)
}

var mask = []byte("***")

// masker passes on what is written to it, with *** in place of each secret, however the writes cut it: what may be the beginning of a
// secret is held back until it shows whether it is one.
type masker struct {
	to      io.Writer
	secrets [][]byte
	held    []byte
}

// Write implements io.Writer.
func (m *masker) Write(p []byte) (int, error) {
	if len(m.secrets) == 0 {
		return m.to.Write(p)
	}
	return len(p), m.pass(append(m.held, p...), false)
}

// pass passes a text on; last: nothing comes after it.
func (m *masker) pass(text []byte, last bool) error {
	var out []byte
	i := 0
	for i < len(text) && (last || !m.begins(text[i:])) {
		if n := m.at(text[i:]); n > 0 {
			out, i = append(out, mask...), i+n
			continue
		}
		out = append(out, text[i])
		i++
	}
	m.held = slices.Clone(text[i:])
	_, err := m.to.Write(out)
	return err
}

// at is the length of the secret that a text begins with, 0 if it does with none.
func (m *masker) at(text []byte) int {
	for _, s := range m.secrets {
		if bytes.HasPrefix(text, s) {
			return len(s)
		}
	}
	return 0
}

// begins reports whether a text is the beginning of a secret, and ends before its end.
func (m *masker) begins(text []byte) bool {
	return slices.ContainsFunc(m.secrets, func(s []byte) bool { return len(text) < len(s) && bytes.HasPrefix(s, text) })
}

// end passes on what is held back.
func (m *masker) end() { _ = m.pass(m.held, true) }
