package storage

import "slices"

type watcher struct {
	prefix  Key
	f       func(k Key)
	stopped bool
}

// Watch calls f in a turn of its own, once per changed key below prefix, after
// the key was written or deleted here or elsewhere, with keys in order. Changes
// of one key may be coalesced: read the current value. stop ends it.
func (r *Replicated) Watch(prefix Key, f func(k Key)) (stop func()) {
	w := &watcher{prefix: prefix, f: f}
	r.watchers = append(r.watchers, w)
	return func() {
		w.stopped = true
		r.watchers = slices.DeleteFunc(slices.Clone(r.watchers), func(o *watcher) bool { return o == w })
	}
}

// notifyEach is how many changes watchers are told of in one turn.
const notifyEach = 512

// notify schedules a turn for the watchers if an operation changed something.
func (r *Replicated) notify() {
	r.changed = append(r.changed, r.replica.overlay.takeChanged()...)
	if len(r.changed) == 0 || r.notifying {
		return
	}
	r.notifying = true
	r.cfg.Loop.AfterFunc(0, func() {
		r.notifying = false
		keys := slices.Clone(r.changed[:min(len(r.changed), notifyEach)])
		if r.changed = r.changed[len(keys):]; len(r.changed) == 0 {
			r.changed = nil
		}
		slices.SortFunc(keys, Key.Compare)
		keys = slices.Compact(keys)
		for _, w := range r.watchers {
			w.tell(keys)
		}
		r.notify()
	})
}

func (w *watcher) tell(keys []Key) {
	for _, k := range keys {
		if !w.stopped && k.Has(w.prefix) {
			w.f(k)
		}
	}
}
