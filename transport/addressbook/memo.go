package addressbook

import "sync"

// memoLenMax bounds the announcements whose signatures need not be verified again.
const memoLenMax = 16 << 10

// opened remembers what Signed.Open has returned: it depends on nothing but the bytes, a signature costs
// 50 us to verify, and where many nodes run in one process they all verify the same ones.
var opened = memo{young: map[string]*Announcement{}}

// memo keeps between half and all of memoLenMax announcements, the most recently used ones.
type memo struct {
	mu         sync.Mutex
	young, old map[string]*Announcement
}

func (m *memo) get(s Signed) *Announcement {
	key := string(s.Signature) + string(s.Body)
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.young[key]
	if a == nil {
		if a = m.old[key]; a != nil {
			m.add(key, a)
		}
	}
	return a
}

func (m *memo) put(s Signed, a *Announcement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(string(s.Signature)+string(s.Body), a)
}

func (m *memo) add(key string, a *Announcement) {
	if len(m.young) >= memoLenMax/2 {
		m.old, m.young = m.young, make(map[string]*Announcement, memoLenMax/2)
	}
	m.young[key] = a
}
