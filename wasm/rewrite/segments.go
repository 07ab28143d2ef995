package rewrite

// parseElements reads element segments. Bits of the flags: 1 not active, 2 another table than the first (or, if not active:
// declared only), 4 expressions in place of indices.
func (m *module) parseElements(r *reader) {
	for range r.count(2) {
		s := segment{flags: r.u32()}
		if s.flags > 7 {
			r.failf("element segments of kind %d are not known", s.flags)
			return
		}
		if s.active() {
			if s.flags&2 != 0 {
				s.table = r.u32()
			}
			s.offset = m.constant(r)
		}
		if s.flags&3 != 0 {
			s.kind = r.byte()
		}
		s.count = r.count(1)
		start := r.at
		for range s.count {
			if s.flags&4 != 0 {
				m.constant(r)
			} else {
				m.takeAddress(m.functionIndex(r))
			}
		}
		if r.err != nil {
			return
		}
		s.content = r.in[start:r.at]
		m.elements = append(m.elements, s)
	}
}

// parseData reads data segments. Flags: 0 active, 1 passive, 2 active with the index of a memory.
func (m *module) parseData(r *reader) {
	for range r.count(2) {
		s := segment{flags: r.u32()}
		switch s.flags {
		case 0:
			s.offset = m.constant(r)
		case 1:
		case 2:
			if r.u32() != 0 {
				r.failf("several memories are not supported")
			}
			s.offset = m.constant(r)
		default:
			r.failf("data segments of kind %d are not known", s.flags)
		}
		s.content = r.vector()
		m.data = append(m.data, s)
	}
}

// parseCode finds the bodies; bodies are read when they are written.
func (m *module) parseCode(r *reader) {
	if n := r.count(1); n != len(m.functions) {
		r.failf("%d functions are declared, %d have a body", len(m.functions), n)
		return
	}
	locals := 0
	for i := range m.functions {
		f := &m.functions[i]
		if f.body = r.vector(); len(f.body) > bodyLenMax {
			r.failf("function %d has %d bytes, at most %d are supported", i, len(f.body), bodyLenMax)
			return
		}
		body := reader{in: f.body, of: m}
		n := m.types[f.signature].params + body.locals()
		if body.err != nil {
			r.fail(body.err)
			return
		}
		if locals += n; n > localsPerFunctionMax || locals > m.length+localsBeyondBytesMax {
			r.failf("its functions have too many locals for their size (function %d has %d)", i, n)
			return
		}
	}
}

// locals reads declarations of locals, and returns how many there are.
func (r *reader) locals() (n int) {
	for range r.count(2) {
		if n += int(r.u32()); n > localsPerFunctionMax {
			r.failf("a function has more than %d locals", localsPerFunctionMax)
		}
		r.valueType()
	}
	return n
}
