package sandbox

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
)

// secretMin is the length from which a text is taken for a secret, in bytes: a shorter one would black out half of what is said.
const secretMin = 4

// secretsOf are the texts that are masked: secrets, and each line of one that has several, as they are and as programs write them. The longest come first.
func secretsOf(values []string) (list [][]byte) {
	for _, v := range values {
		for _, text := range append(append(strings.Split(v, "\n"), v), written(v)...) {
			if text = strings.TrimSpace(text); len(text) >= secretMin {
				list = append(list, []byte(text))
			}
		}
	}
	slices.SortFunc(list, func(a, b []byte) int { return cmp.Or(cmp.Compare(len(b), len(a)), bytes.Compare(a, b)) })
	return slices.CompactFunc(list, bytes.Equal)
}

// encodedMin is the length from which a secret is looked for as programs write it, in bytes.
const encodedMin = 8

// written are the ways in which programs write a secret where it cannot stand as it is: in base64, behind whatever it stands, in hexadecimal
// digits, in an address, in JSON. Who means to get a secret out has others: this is for those who do not.
func written(v string) (list []string) {
	if v = strings.TrimRight(v, "\n"); len(v) < encodedMin {
		return nil
	}
	for before := range 3 { // bytes that may stand there, of "user:" for instance: only the digits that are the secret's alone
		for _, b := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := b.EncodeToString(append(make([]byte, before), v...))
			list = append(list, text[(before*8+5)/6:(before+len(v))*8/6])
		}
	}
	quoted, _ := json.Marshal(v) // a string can be
	return append(list, hex.EncodeToString([]byte(v)), url.QueryEscape(v), url.PathEscape(v), strings.Trim(string(quoted), `"`))
}

// masking masks what is in a line once more that has been made plain: a character that is not seen may have cut a secret into two.
func masking(line func(string), values []string) func(string) {
	if line == nil || len(values) == 0 {
		return line
	}
	var pairs []string
	for _, s := range secretsOf(values) {
		pairs = append(pairs, string(s), string(mask))
	}
	masked := strings.NewReplacer(pairs...)
	return func(text string) { line(masked.Replace(text)) }
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
