package fault

// tally counts how many faults want a state of k. The state is set with the
// first and unset with the last.
type tally[K comparable] struct {
	set    func(k K, on bool)
	counts map[K]*int
}

func (t *tally[K]) on(k K) bool { return t.counts[k] != nil }

// begin returns the function that takes this want back; call it once.
func (t *tally[K]) begin(k K) (end func()) {
	count := t.counts[k]
	if count == nil {
		if t.counts == nil {
			t.counts = map[K]*int{}
		}
		count = new(int)
		t.counts[k] = count
		t.set(k, true)
	}
	*count++
	return func() {
		*count--
		if *count == 0 && t.counts[k] == count { // else it was cleared since
			t.clear(k)
		}
	}
}

// clear takes all wants back and reports whether there were any.
func (t *tally[K]) clear(k K) bool {
	if t.counts[k] == nil {
		return false
	}
	delete(t.counts, k)
	t.set(k, false)
	return true
}

// layers keeps the values that active faults want for k, oldest first; the
// state is what merge makes of them.
type layers[K comparable, V any] struct {
	set   func(k K, v V)
	merge func([]V) V
	stack map[K][]*V
}

func (l *layers[K, V]) begin(k K, v V) (end func()) {
	if l.stack == nil {
		l.stack = map[K][]*V{}
	}
	mine := &v
	l.stack[k] = append(l.stack[k], mine)
	l.apply(k)
	return func() {
		for i, other := range l.stack[k] {
			if other == mine {
				l.stack[k] = append(l.stack[k][:i], l.stack[k][i+1:]...)
				l.apply(k)
				return
			}
		}
	}
}

func (l *layers[K, V]) apply(k K) {
	values := make([]V, len(l.stack[k]))
	for i, v := range l.stack[k] {
		values[i] = *v
	}
	if len(values) == 0 {
		delete(l.stack, k)
	}
	l.set(k, l.merge(values))
}

// ends calls all in reverse order.
type ends []func()

func (e ends) all() {
	for i := len(e) - 1; i >= 0; i-- {
		e[i]()
	}
}
