package evidence

import "github.com/taucloud/tau/sim/check"

// Attempt is a token as facts tell it.
type Attempt struct {
	Number int64
	Holder string
}

// Less is the order of tokens. Peers in text have one length and an alphabet in
// order, so their text has the order of their keys.
func (a Attempt) Less(b Attempt) bool {
	return a.Number < b.Number || a.Number == b.Number && a.Holder < b.Holder
}

// AttemptOf is the token that a fact names.
func AttemptOf(f check.Fact) Attempt { return Attempt{f.Int("attempt"), f.Text("holder")} }
