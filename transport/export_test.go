package transport

// Links is how many peers an engine remembers anything of.
func (e *Engine) Links() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.links)
}
