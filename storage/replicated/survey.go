package replicated

import (
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
)

// survey is what the members say to a replica that has nothing.
type survey struct {
	self    transport.Peer
	members []transport.Peer // the others, in canonical order
	asked   map[transport.Peer]answer
	// heard is when a member was last known to have something, in Elapsed.
	heard time.Duration
}

// answer is what is known of a member.
type answer int

const (
	answerNone    answer = iota // it has not answered yet
	answerSilent                // nor within silentGrace
	answerAbsent                // it cannot be reached, or has not started
	answerNothing               // it has nothing itself, and asks as well
	answerFound                 // it is taking over what somebody has
	answerReady                 // it is ready, and nothing was ever written
	answerHas                   // it is ready and has something
)

// answerOf is what a call that failed says.
func answerOf(err error) answer {
	if transport.KindOf(err) == transport.Timeout {
		return answerSilent
	}
	return answerAbsent
}

func (s *survey) note(p transport.Peer, a answer, now time.Duration) {
	if a == answerHas || a == answerFound {
		s.heard = now
	}
	s.asked[p] = a
}

// extend returns the members to be asked next: the first ones, and more when all
// of these know nothing, but only if no member before us is about to do so. So a
// thousand members that start together do not all ask each other.
func (s *survey) extend() []transport.Peer {
	n := len(s.asked)
	for _, p := range s.members[:n] {
		switch a := s.asked[p]; {
		case a == answerNone || a >= answerFound:
			return nil
		case a == answerNothing && n >= askedLen && p.Compare(s.self) < 0:
			return nil
		}
	}
	next := s.members[n:min(len(s.members), n+askedLen)]
	for _, p := range next {
		s.asked[p] = answerNone
	}
	return next
}

// verdict is what follows.
type verdict int

const (
	verdictWait verdict = iota
	// verdictWaitForOther: somebody is catching up who may serve us afterwards.
	verdictWaitForOther
	verdictPull  // somebody has something
	verdictReady // there is nothing
)

// verdict is what follows from the answers when so long has passed since the
// beginning, or since somebody was last known to have something.
func (s *survey) verdict(passed, grace time.Duration) verdict {
	count := map[answer]int{}
	for _, p := range s.members[:len(s.asked)] {
		count[s.asked[p]]++
	}
	switch {
	case count[answerHas] > 0:
		return verdictPull
	case count[answerReady] > 0:
		return verdictReady
	case count[answerFound] > 0:
		return verdictWaitForOther
	case len(s.asked) < len(s.members):
		return verdictWait // extend goes on, or somebody before us does
	case count[answerNone] > 0 && passed < silentGrace:
		return verdictWait
	case count[answerAbsent]+count[answerSilent] > 0 && passed < grace:
		return verdictWait
	}
	return verdictReady
}

// whoHave are the members that are ready and have something.
func (s *survey) whoHave() []transport.Peer {
	return slices.DeleteFunc(slices.Clone(s.members[:len(s.asked)]), func(p transport.Peer) bool { return s.asked[p] != answerHas })
}
