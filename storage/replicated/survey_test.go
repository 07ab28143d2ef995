package replicated

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/transport"
)

func members(n int) (list []transport.Peer) {
	for i := range n {
		list = append(list, transport.Peer{0: byte(i), 31: 1})
	}
	return list
}

// TestVerdict is what follows from what members say.
func TestVerdict(t *testing.T) {
	const soon, late = 100 * time.Millisecond, time.Minute
	for _, c := range []struct {
		name    string
		answers []answer
		passed  time.Duration
		want    verdict
	}{
		{"alone", nil, 0, verdictReady},
		{"nobody has answered", []answer{answerNone, answerNothing}, soon, verdictWait},
		{"nobody ever answers", []answer{answerNone, answerSilent}, late, verdictReady},
		{"a silent one may have something", []answer{answerNone, answerNothing}, openGrace + time.Second, verdictWait},
		{"all have nothing", []answer{answerNothing, answerNothing}, soon, verdictReady},
		{"one is not there yet", []answer{answerAbsent, answerNothing}, soon, verdictWait},
		{"one is not there", []answer{answerAbsent, answerNothing}, openGrace, verdictReady},
		{"one is ready and empty", []answer{answerNone, answerReady}, soon, verdictReady},
		{"one takes over", []answer{answerFound, answerReady, answerNothing}, late, verdictReady},
		{"one takes over, none is ready", []answer{answerFound, answerNothing}, late, verdictWaitForOther},
		{"one has something", []answer{answerNothing, answerHas, answerReady}, late, verdictPull},
	} {
		s := &survey{known: true, asked: map[transport.Peer]answer{}}
		s.include(members(len(c.answers)), true)
		for i, a := range c.answers {
			s.asked[s.members[i]] = a
		}
		require.Equal(t, c.want, s.verdict(c.passed, openGrace), c.name)
		if s.known = false; c.want == verdictReady && !slices.Contains(c.answers, answerReady) {
			require.Equal(t, verdictWait, s.verdict(time.Hour, openGrace), "%s: somebody unknown may have something", c.name)
		} else {
			require.Equal(t, c.want, s.verdict(c.passed, openGrace), c.name)
		}
	}
}

// TestSurveyOfManyMembers: only the first of those that know nothing asks all.
func TestSurveyOfManyMembers(t *testing.T) {
	all := members(100)
	ask := func(self int) (asked int) {
		s := &survey{known: true, self: all[self], asked: map[transport.Peer]answer{}}
		s.members = append(append(s.members, all[:self]...), all[self+1:]...)
		for next := s.extend(); len(next) > 0; next = s.extend() {
			for _, p := range next {
				s.note(p, answerNothing, 0)
			}
		}
		if len(s.asked) == len(s.members) {
			require.Equal(t, verdictReady, s.verdict(0, openGrace))
		} else {
			require.Equal(t, verdictWait, s.verdict(time.Hour, openGrace))
		}
		return len(s.asked)
	}
	require.Equal(t, 99, ask(0))
	for _, self := range []int{1, 5, 50, 99} {
		require.Equal(t, askedLen, ask(self))
	}
	// If the first ones are gone, the next one asks all.
	s := &survey{known: true, self: all[20], asked: map[transport.Peer]answer{}}
	s.members = append(append(s.members, all[:20]...), all[21:]...)
	for next := s.extend(); len(next) > 0; next = s.extend() {
		for _, p := range next {
			a := answerNothing
			if p.Compare(s.self) < 0 {
				a = answerAbsent
			}
			s.note(p, a, 0)
		}
	}
	require.Len(t, s.asked, 99)
}
