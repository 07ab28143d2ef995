package replicated

import (
	"slices"

	"github.com/taucloud/tau/storage"
)

// watcher is a call of Watch.
type watcher struct {
	prefix  storage.Key
	f       func(k storage.Key)
	stopped bool
}

// Watch implements storage.Replicated.
func (r *Store) Watch(prefix storage.Key, f func(k storage.Key)) (stop func()) {
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
func (r *Store) notify() {
	r.changed = append(r.changed, r.replica.index.takeChanged()...)
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
		slices.SortFunc(keys, storage.Key.Compare)
		keys = slices.Compact(keys)
		for _, w := range r.watchers {
			w.tell(keys)
		}
		r.notify()
	})
}

func (w *watcher) tell(keys []storage.Key) {
	for _, k := range keys {
		if !w.stopped && k.Has(w.prefix) {
			w.f(k)
		}
	}
}
