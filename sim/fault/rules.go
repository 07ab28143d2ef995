package fault

// rules are the active faults of links, as predicates: a state for each of the possibly millions of
// links would be too much.
type rules struct {
	target Target
	active []*rule
	silent bool
}

// rule is one fault of links.
type rule struct {
	matches func(from, to string) bool
	state   LinkState
	except  []func(from, to string) bool // mended or released since
	hit     bool                         // it has made a difference
}

// inflict is begin for a fault, with tracking of its effect.
func (r *rules) inflict(l *Ledger, matches func(from, to string) bool, state LinkState) (end func()) {
	mine := &rule{matches: matches, state: state}
	l.watch(func() bool { return mine.hit })
	return r.begin(mine)
}

// begin adds a rule and returns the function that removes it; call that once.
func (r *rules) begin(mine *rule) (end func()) {
	r.active = append(r.active, mine)
	r.changed()
	return func() {
		for i, other := range r.active {
			if other == mine {
				r.active = append(r.active[:i:i], r.active[i+1:]...)
			}
		}
		r.changed()
	}
}

// end makes the rules that are of a kind no longer hold for some links. It
// reports whether there was such a rule.
func (r *rules) end(kind func(LinkState) bool, matches func(from, to string) bool) (any bool) {
	for _, one := range r.active {
		if kind(one.state) {
			one.except = append(one.except, matches)
			any = true
		}
	}
	r.changed()
	return any
}

// affected records that a part of a link's state made a difference.
func (r *rules) affected(from, to string, part LinkPart) {
	for _, one := range r.active {
		if !one.hit && one.state.has(part) && one.holds(from, to) {
			one.hit = true
		}
	}
}

// quiet reports all changes that f makes to the world at once.
func (r *rules) quiet(f func()) {
	r.silent = true
	f()
	r.silent = false
	r.changed()
}

func (r *rules) changed() {
	if !r.silent {
		r.target.SetLinks(r.state, r.affected)
	}
}

// state adds up all rules; of several shapes the youngest decides.
func (r *rules) state(from, to string) (s LinkState) {
	if from == to {
		return s
	}
	for _, one := range r.active {
		if !one.holds(from, to) {
			continue
		}
		s.Cut = s.Cut || one.state.Cut
		s.Held = s.Held || one.state.Held
		s.Refused = s.Refused || one.state.Refused
		s.Shape = s.Shape.With(one.state.Shape)
		s.Again = s.Again.with(one.state.Again)
	}
	return s
}

func (one *rule) holds(from, to string) bool {
	if !one.matches(from, to) {
		return false
	}
	for _, mended := range one.except {
		if mended(from, to) {
			return false
		}
	}
	return true
}

// With lets over decide each part that it sets.
func (s Shape) With(over Shape) Shape {
	if over.LatencyMin != 0 || over.LatencyMax != 0 {
		s.LatencyMin, s.LatencyMax = over.LatencyMin, over.LatencyMax
	}
	if over.Bandwidth != 0 {
		s.Bandwidth = over.Bandwidth
	}
	if over.Loss != 0 {
		s.Loss = over.Loss
	}
	return s
}

// with lets over decide if it is about more messages.
func (a Again) with(over Again) Again {
	if over.Chance > a.Chance {
		return over
	}
	return a
}
