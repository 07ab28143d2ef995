// Package token is what an API token says, and how one is proven: who reads where tokens are stored gets none that works.
// It is pure: chance and time are given to it.
package token

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scope is a kind of thing that a token allows.
type Scope string

// The scopes. None includes another one.
const (
	// Read: list and show jobs, and their logs.
	Read Scope = "read"
	// Write: cancel and rebuild them.
	Write Scope = "write"
)

var scopes = []Scope{Read, Write}

const (
	// SecretLen is the length of a token's secret part, in bytes.
	SecretLen = 32
	// idLen is that of its name.
	idLen = 8
	// ProjectsMax bounds the projects of a token.
	ProjectsMax = 64
	// projectLenMax bounds the name of a project, in bytes.
	projectLenMax = 256
	// LifeMax bounds how long a token counts.
	LifeMax = 366 * 24 * time.Hour
	prefix  = "tau_"
	textLen = len(prefix) + 2*idLen + 1 + 2*SecretLen
)

// Record is what is stored of a token. It does not hold the token.
type Record struct {
	ID       string   `cbor:"1,keyasint"`
	Hash     []byte   `cbor:"2,keyasint"` // SHA-256 of its text: 256 drawn bits need no slow hash
	Projects []string `cbor:"3,keyasint"` // sorted; no word means all
	Scopes   []Scope  `cbor:"4,keyasint"` // sorted
	NotAfter int64    `cbor:"5,keyasint"` // seconds since 1970
}

// New makes a token of drawn bytes, at least SecretLen of them from a source that nobody can foresee. text is for whoever asked,
// once. The error says what is wrong with what was asked for.
func New(drawn []byte, projects []string, may []Scope, now time.Time, life time.Duration) (text string, r Record, err error) {
	projects, may = slices.Compact(slices.Sorted(slices.Values(projects))), slices.Compact(slices.Sorted(slices.Values(may)))
	switch {
	case len(drawn) < SecretLen:
		return "", r, fmt.Errorf("token: made of %d bytes, at least %d", len(drawn), SecretLen)
	case len(projects) == 0 || len(projects) > ProjectsMax || slices.Contains(projects, ""):
		return "", r, fmt.Errorf("token: it is for 1 to %d projects, by name", ProjectsMax)
	case slices.ContainsFunc(projects, func(p string) bool { return len(p) > projectLenMax }):
		return "", r, fmt.Errorf("token: the name of a project has at most %d bytes", projectLenMax)
	case len(may) == 0 || slices.ContainsFunc(may, func(s Scope) bool { return !slices.Contains(scopes, s) }):
		return "", r, fmt.Errorf("token: expected scopes of %v", scopes)
	case life < time.Second || life > LifeMax:
		return "", r, fmt.Errorf("token: it counts for a second to %d days", LifeMax/(24*time.Hour))
	}
	name := sha256.Sum256(append([]byte("tau token id"), drawn...))
	r = Record{ID: hex.EncodeToString(name[:idLen]), Projects: projects, Scopes: may, NotAfter: now.Add(life).Unix()}
	text = prefix + r.ID + "_" + hex.EncodeToString(drawn[:SecretLen])
	sum := sha256.Sum256([]byte(text))
	r.Hash = sum[:]
	return text, r, nil
}

// ID is the name of a token, by which its record is found, from its text; false if that is no token. It proves nothing.
func ID(text string) (id string, ok bool) {
	if len(text) != textLen || !strings.HasPrefix(text, prefix) || text[len(prefix)+2*idLen] != '_' {
		return "", false
	}
	id = text[len(prefix) : len(prefix)+2*idLen]
	_, err := hex.DecodeString(id)
	return id, err == nil
}

// Check says what is wrong with a record that somebody else has made: none is stored that New would not make, or that counts for
// longer. skew is by how much the maker's clock may be ahead.
func (r Record) Check(now time.Time, skew time.Duration) error {
	switch name, err := hex.DecodeString(r.ID); {
	case err != nil || len(name) != idLen || r.ID != hex.EncodeToString(name):
		return fmt.Errorf("token: its name has %d digits in hex", 2*idLen)
	case len(r.Hash) != sha256.Size:
		return fmt.Errorf("token: its hash has %d bytes", sha256.Size)
	case len(r.Projects) == 0 || len(r.Projects) > ProjectsMax || !ascending(r.Projects) ||
		slices.ContainsFunc(r.Projects, func(p string) bool { return p == "" || len(p) > projectLenMax }):
		return fmt.Errorf("token: it is for 1 to %d projects, by names of at most %d bytes, sorted", ProjectsMax, projectLenMax)
	case len(r.Scopes) == 0 || len(r.Scopes) > len(scopes) || !ascending(r.Scopes) ||
		slices.ContainsFunc(r.Scopes, func(s Scope) bool { return !slices.Contains(scopes, s) }):
		return fmt.Errorf("token: expected scopes of %v, sorted", scopes)
	case r.NotAfter <= now.Unix() || r.NotAfter > now.Add(LifeMax+skew).Unix():
		return fmt.Errorf("token: it counts for a second to %d days", LifeMax/(24*time.Hour))
	}
	return nil
}

// ascending reports whether a list is sorted and has nothing twice.
func ascending[T ~string](list []T) bool {
	for i := 1; i < len(list); i++ {
		if list[i-1] >= list[i] {
			return false
		}
	}
	return true
}

// ErrRefused says that a token does not allow what was asked for. It does not say why: who guesses learns nothing.
var ErrRefused = errors.New("token: it does not allow this")

// Allows proves a token's text by its record, in a time that does not depend on how much of it is right, and then says whether it
// allows something in a project now. The error is ErrRefused.
func (r Record) Allows(text, project string, what Scope, now time.Time) error {
	sum := sha256.Sum256([]byte(text))
	proven := subtle.ConstantTimeCompare(sum[:], r.Hash) == 1
	if !proven || now.Unix() > r.NotAfter || !slices.Contains(r.Projects, project) || !slices.Contains(r.Scopes, what) {
		return ErrRefused
	}
	return nil
}
