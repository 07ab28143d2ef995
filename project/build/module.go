package build

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ModuleLenMax bounds a module, in bytes.
const ModuleLenMax = 32 << 20

var errModule = errors.New("it is no WebAssembly module of version 1, or a part of one")

// CheckModule says what is wrong with a module that is to be called by names: it is none, or it lacks one of them. It
// reads the sections and the exports; whoever runs a module checks the rest. Of a bundle of JavaScript the length is checked: its
// bundler has looked at its exports.
func CheckModule(module []byte, calls []string) error {
	if len(module) > ModuleLenMax {
		return fmt.Errorf("the module has %d bytes, at most %d are allowed", len(module), ModuleLenMax)
	}
	if isBundle(module) {
		return nil
	}
	exports, err := functionsOf(module)
	if err != nil {
		return err
	}
	for _, call := range calls {
		if !slices.Contains(exports, call) {
			return fmt.Errorf("the module exports no function %q, which is what is called: it exports %s", call, listed(exports))
		}
	}
	return nil
}

func listed(names []string) string {
	const shown = 8
	quoted := make([]string, 0, shown)
	for _, name := range names[:min(shown, len(names))] {
		quoted = append(quoted, fmt.Sprintf("%.60q", name))
	}
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > shown:
		return strings.Join(quoted, ", ") + fmt.Sprintf(" and %d more", len(names)-shown)
	}
	return strings.Join(quoted, ", ")
}

// functionsOf lists the exported functions of a module.
func functionsOf(module []byte) (names []string, err error) {
	const magic, exportSection = "\x00asm\x01\x00\x00\x00", 7
	if !strings.HasPrefix(string(module[:min(len(module), len(magic))]), magic) {
		return nil, errModule
	}
	for rest := module[len(magic):]; len(rest) > 0; {
		id := rest[0]
		section, after, ok := vector(rest[1:])
		if !ok {
			return nil, errModule
		}
		if rest = after; id == exportSection {
			if names, ok = exportsOf(section); !ok {
				return nil, errModule
			}
		}
	}
	return names, nil
}

// exportsOf reads an export section: a count, then names, kinds (0 is a function) and indices.
func exportsOf(section []byte) (names []string, ok bool) {
	count, rest, ok := number(section)
	for ; ok && count > 0; count-- {
		var name []byte
		if name, rest, ok = vector(rest); !ok || len(rest) == 0 {
			return nil, false
		}
		if rest[0] == 0 {
			names = append(names, string(name))
		}
		_, rest, ok = number(rest[1:])
	}
	return names, ok && len(rest) == 0
}

// vector reads a length and so many bytes.
func vector(in []byte) (content, rest []byte, ok bool) {
	n, rest, ok := number(in)
	if !ok || uint64(n) > uint64(len(rest)) {
		return nil, nil, false
	}
	return rest[:n], rest[n:], true
}

// number reads an unsigned LEB128 of 32 bits.
func number(in []byte) (n uint32, rest []byte, ok bool) {
	for i := 0; i < 5 && i < len(in); i++ {
		n |= uint32(in[i]&0x7f) << (7 * i)
		if in[i] < 0x80 {
			return n, in[i+1:], i < 4 || in[i] < 0x10
		}
	}
	return 0, nil, false
}
