// Package refs says what has happened to the refs of a repository, from what was known of them and what the forge says
// they are now. It is pure: who asks the forge, and who keeps what is known, is somebody else.
//
// The forge's answer is the only truth. A webhook, or a timer, is a reason to ask; so a forged or repeated webhook makes
// no move, and a lost one delays it only. A ref that moved twice between two questions has made one move.
package refs

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"path"
	"slices"
	"strings"
)

const (
	// RefsMax bounds the refs that are followed of one repository, those of deleted branches included. Of more, those count
	// that come first by name, besides those already known.
	RefsMax = 5000
	// NameLenMax bounds the name of a ref, in bytes; refs of longer names are not followed.
	NameLenMax = 256
)

// Seen is a ref as a forge gives it.
type Seen struct {
	// Name is whole: refs/heads/main.
	Name string
	// Commit is 40 or 64 hexadecimal digits in lower case.
	Commit string
}

// Known is what is known of a ref.
type Known struct {
	Name string `cbor:"1,keyasint"`
	// Commit is where it is, "" if it was deleted: that stays known, so that a branch of the same name goes on counting.
	Commit string `cbor:"2,keyasint,omitempty"`
	// Moves is how often it was seen to have moved. The first sight is a move.
	Moves uint64 `cbor:"3,keyasint"`
}

// Move is that a ref is somewhere else than it was. Before is "" if there was no such ref, After if it was deleted.
type Move struct {
	Ref, Before, After string
	// Number is how many moves of the ref were seen, this one included.
	Number uint64
}

// Known is what is known of the ref after the move.
func (m Move) Known() Known { return Known{Name: m.Ref, Commit: m.After, Moves: m.Number} }

// EventID names the move: the same for all who see it from the same knowledge, on however many nodes and however often,
// and another one for each later move. Repository, ref and the two commits alone would not do: a branch that is reset and
// pushed once more moves from the same commit to the same commit.
func (m Move) EventID(repository string) string {
	h := sha256.New()
	for _, part := range []string{repository, m.Ref, m.Before, m.After} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	h.Write(binary.BigEndian.AppendUint64(nil, m.Number))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Moves lists what has moved, in the order of the names of the refs. all is the forge's whole answer, of a question that has
// succeeded: what is not in it is deleted. follow says which refs count; those that do not are not known and make no
// moves, and no deletion either when a pattern is changed.
func Moves(known []Known, all []Seen, follow func(ref string) bool) (list []Move) {
	before := make(map[string]Known, len(known))
	for _, k := range known {
		before[k.Name] = Merge(before[k.Name], k)
	}
	now := map[string]string{}
	for _, s := range all {
		if isCommit(s.Commit) && isRef(s.Name) {
			now[s.Name] = s.Commit
		}
	}
	names := make([]string, 0, len(before)+len(now))
	for name := range before {
		names = append(names, name)
	}
	for name := range now {
		names = append(names, name)
	}
	slices.Sort(names)
	room := RefsMax - len(before)
	for _, name := range slices.Compact(names) {
		was, met := before[name]
		if !follow(name) || was.Commit == now[name] {
			continue
		}
		if !met {
			if room <= 0 {
				continue
			}
			room--
		}
		list = append(list, Move{Ref: name, Before: was.Commit, After: now[name], Number: was.Moves + 1})
	}
	return list
}

// Merge is what two replicas know together of a ref: who has seen more moves is ahead. Of equally many the greater commit
// counts, everywhere alike; if the forge says otherwise, the next question finds one more move. The zero value knows nothing.
func Merge(a, b Known) Known {
	if cmp.Or(cmp.Compare(a.Moves, b.Moves), cmp.Compare(a.Commit, b.Commit)) < 0 {
		return b
	}
	return a
}

// Branches is a filter for branches by patterns as in path.Match, a * within one part of a name: main, release/*. Tags and other
// refs never pass. The error names a pattern that is none.
func Branches(patterns ...string) (follow func(ref string) bool, err error) {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			return nil, &PatternError{Pattern: p}
		}
	}
	patterns = slices.Clone(patterns)
	return func(ref string) bool {
		name, isBranch := strings.CutPrefix(ref, "refs/heads/")
		return isBranch && slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, name); return ok })
	}, nil
}

// PatternError says that a pattern of branches is none.
type PatternError struct{ Pattern string }

func (e *PatternError) Error() string {
	return "refs: " + strings.ToValidUTF8(e.Pattern, "?") + " is no pattern of branches: expected a name, in which * is any part of it"
}

func isRef(name string) bool { return name != "" && len(name) <= NameLenMax }

func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'f')
	})
}
