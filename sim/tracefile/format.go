// Package tracefile is the format of traces, as dreamland sim --trace writes them:
// reading them, showing them to people, comparing two. It knows no service and no
// world.
//
// A trace is one JSON object a line, in the order in which things happened:
//
//	{"t":0,"k":"trace","version":1,"scenario":"cancel","seed":7}
//	{"t":5028000000,"k":"frame","n":"core-1","l":"client>core-1","a":3,"b":1,"size":133,"sum":"-968167524707850106","x":{"id":992,"cause":980,"what":"request","method":"patrick.push","call":1}}
//	{"t":5028000000,"k":"fact","n":"core-1","s":"patrick","f":"job-granted","v":{"job":"8b50","attempt":1},"x":{"id":992,"src":"services/patrick/grant.go:88"}}
//
// t is virtual nanoseconds, k the kind of line; what the other names mean is in
// schema.json, which is the format's contract and which a test holds against real
// traces. Numbers beyond 2^53 are strings, because readers in other languages would
// round them.
//
// x has what is not part of a run's digest: the number of the event that goes on (id)
// and of the event in whose turn this one was caused (cause), the place in the code
// that reported a fact (src), and what a frame is (what, method, call). The digest
// is the SHA-256 of all lines without x, and without those of the kinds trace and
// state, see [Digest].
package tracefile

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"hash"
)

// Version is that of the format. It counts up when a reader of the one before could
// misunderstand a trace; what is only added does not change it.
const Version = 1

// Schema is the JSON Schema of a line.
//
//go:embed schema.json
var Schema []byte

// The kinds of lines that are no events.
const (
	KindTrace  = "trace"  // the first line
	KindFact   = "fact"   // a service reports what has become true
	KindLog    = "log"    // a warning or an error
	KindMissed = "missed" // the frame before is not heard, or not yet
	KindState  = "state"  // what a service believes from now on
)

// The kinds of events that readers tell from others.
const (
	KindWorld  = "world"  // a fault, the end of one, an action of a user
	KindFrame  = "frame"  // arrives
	KindResend = "resend" // arrives after its link has healed
	KindTimer  = "timer"
	KindWake   = "wake"  // a task goes on
	KindStart  = "start" // a task begins
	KindFlush  = "flush" // a disk has written
)

// ExactMax is the greatest number that is written as a number, 2^53.
const ExactMax = 1 << 53

// Digest computes a run's digest from its trace.
type Digest struct{ hash hash.Hash }

// NewDigest returns the digest of no lines.
func NewDigest() *Digest { return &Digest{sha256.New()} }

// besides is where x begins. Within a string the quotes would be escaped.
var besides = []byte(`,"x":{`)

// Canonical is the part of a line that counts for the digest, nil if nothing of
// it does.
func Canonical(line []byte) []byte {
	for _, kind := range [...]string{KindTrace, KindState} {
		if at := bytes.Index(line, []byte(`"k":"`+kind+`"`)); at > 0 && at < 32 {
			return nil
		}
	}
	if at := bytes.LastIndex(line, besides); at > 0 {
		return append(line[:at:at], '}', '\n')
	}
	return line
}

// Add adds a line, with its newline.
func (d *Digest) Add(line []byte) { d.hash.Write(Canonical(line)) }

// Sum is the digest in hexadecimal.
func (d *Digest) Sum() string { return hex.EncodeToString(d.hash.Sum(nil)) }
