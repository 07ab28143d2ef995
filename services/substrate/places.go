package substrate

// places are where functions run: so many of one function at once, so many of all, and so many that wait. Who came first is
// let in first, of those whose function has room. It is pure.
type places struct {
	most    int // of all
	running int
	lanes   map[string]*lane
	waiting []*place
}

// lane is a function's part.
type lane struct{ running, waiting int }

// place is a request's.
type place struct {
	function string
	most     int // of its function
	granted  bool
	wake     func() // nil: nobody is to be woken
}

// enter asks for a place. It may have to be waited for; nil: as many wait as may.
func (p *places) enter(function string, most, queue int) *place {
	if p.lanes == nil {
		p.lanes = map[string]*lane{}
	}
	l := p.lanes[function]
	if l == nil {
		l = &lane{}
		p.lanes[function] = l
	}
	one := &place{function: function, most: most}
	switch {
	case p.running < p.most && l.running < most && l.waiting == 0:
		p.grant(l, one)
	case l.waiting < queue:
		l.waiting++
		p.waiting = append(p.waiting, one)
	default:
		p.tidy(function)
		return nil
	}
	return one
}

// tidy forgets a function of which nobody is here.
func (p *places) tidy(function string) {
	if *p.lanes[function] == (lane{}) {
		delete(p.lanes, function)
	}
}

// of is how many requests of a function are answered now.
func (p *places) of(function string) int {
	if l := p.lanes[function]; l != nil {
		return l.running
	}
	return 0
}

// waits is how many requests of a function wait.
func (p *places) waits(function string) int {
	if l := p.lanes[function]; l != nil {
		return l.waiting
	}
	return 0
}

func (p *places) grant(l *lane, one *place) {
	one.granted = true
	l.running++
	p.running++
}

// leave gives a place back, or gives up waiting for one.
func (p *places) leave(one *place) {
	l := p.lanes[one.function]
	if one.granted {
		l.running--
		p.running--
	} else {
		l.waiting--
		for i, w := range p.waiting {
			if w == one {
				p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
				break
			}
		}
	}
	p.tidy(one.function)
	p.letIn()
}

// letIn gives free places to those who wait.
func (p *places) letIn() {
	rest := p.waiting[:0]
	for _, w := range p.waiting {
		l := p.lanes[w.function]
		if p.running >= p.most || l.running >= w.most {
			rest = append(rest, w)
			continue
		}
		l.waiting--
		p.grant(l, w)
		if w.wake != nil {
			w.wake()
		}
	}
	clear(p.waiting[len(rest):])
	p.waiting = rest
}
