package hoarder

import "time"

// situation is the input of a hoarder's decision about one item.
type situation struct {
	state  state
	target int
	// held: this hoarder has a verified copy and claims it.
	held bool
	// copies counts the claims that are believed, including this hoarder's. A missing hoarder's
	// claim is believed for repairGrace, but not for a release.
	copies, copiesLive int
	// ahead counts the live claimants that rank before this hoarder.
	ahead int
	// surplusFor and endedFor say how long it has seen the item in surplus, and
	// withdrawn or superseded.
	surplusFor, endedFor time.Duration
}

// action is what to do about an item.
type action uint8

const (
	rest      action = iota
	compete          // try to become a holder
	release          // try to release a surplus copy
	discard          // drop a copy that nobody wants any more
	supersede        // drop a copy that a newer snapshot replaces, once that is safe
)

func (a action) String() string {
	return [...]string{"rest", "compete", "release", "discard", "supersede"}[a]
}

// decide is the whole policy. It never releases a copy that is among the target best-ranked ones,
// and never acts on an item whose pin it has not seen.
func decide(s situation, settings Settings) action {
	switch s.state {
	case wanted:
		switch {
		case !s.held && s.copies < s.target:
			competes.Hit()
			return compete
		case s.held && s.copiesLive > s.target+settings.SurplusMax && s.ahead >= s.target && s.surplusFor >= settings.SurplusGrace:
			releasesSurplus.Hit()
			return release
		}
	case abandoned:
		if s.held && s.endedFor >= settings.SurplusGrace {
			discards.Hit()
			return discard
		}
	case superseded:
		if s.held && s.endedFor >= settings.SurplusGrace {
			supersedes.Hit()
			return supersede
		}
	}
	return rest
}

// mayYield reports whether a copy may be released to make room: as decide, but without waiting and
// without hysteresis.
func mayYield(s situation) action {
	switch {
	case !s.held:
	case s.state == wanted && s.copiesLive > s.target && s.ahead >= s.target:
		return release
	case s.state == abandoned:
		return discard
	case s.state == superseded:
		return supersede
	}
	return rest
}
