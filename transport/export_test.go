package transport

// Links is how many peers an engine remembers anything of.
func (e *Engine) Links() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.remotes)
}

// AtTheDoor is how many conns wait for a hello, and how many are strangers'.
func (e *Engine) AtTheDoor() (halfOpen, strangers int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.halfOpen, e.strangers
}

// SpokenVersions are those of the open conns.
func (e *Engine) SpokenVersions() (list []uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.sessionsInOrder() {
		list = append(list, s.version)
	}
	return list
}

// ID is the stream's number on its conn.
func (s *Stream) ID() uint64 {
	s.ep.engine.mu.Lock()
	defer s.ep.engine.mu.Unlock()
	return s.id
}
