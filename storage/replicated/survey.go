package replicated

import (
	"slices"
	"time"

	"github.com/taucloud/tau/transport"
)

// survey collects the members' answers to a replica that has nothing.
type survey struct {
	self    transport.Peer
	members []transport.Peer // the others, in the order in which this node heard of them
	known   bool             // there are no further ones
	asked   map[transport.Peer]answer
	// heard is when a member last reported contents, in Elapsed.
	heard time.Duration
}

// answer is the state of a member in a survey.
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

// answerOf is the answer that a failed call amounts to.
func answerOf(err error) answer {
	if transport.KindOf(err) == transport.Timeout {
		return answerSilent
	}
	return answerAbsent
}

// include adds members that were not known before, in canonical order; known says whether that is all.
func (s *survey) include(members []transport.Peer, known bool) {
	s.known = known
	for _, p := range members {
		if !slices.Contains(s.members, p) {
			s.members = append(s.members, p)
		}
	}
}

func (s *survey) note(p transport.Peer, a answer, now time.Duration) {
	if a == answerHas || a == answerFound {
		s.heard = now
	}
	s.asked[p] = a
}

// extend returns the members to ask next: the first ones, and more when all of these have nothing,
// but only if no member before us will ask further ones. So a thousand members that start together
// do not all ask each other.
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
	// verdictWaitForOther: another member is catching up and may serve us afterwards.
	verdictWaitForOther
	verdictPull  // somebody has something
	verdictReady // there is nothing
)

// verdict is the decision that follows from the answers, given the time since the beginning or
// since a member last reported contents.
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
	case !s.known:
		return verdictWait // somebody who is not known yet may have something
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
