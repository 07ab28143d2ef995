package addressbook

import (
	"bytes"
	"sync"
)

// memoLenMax bounds the announcements whose signatures need not be verified again.
const memoLenMax = 16 << 10

// opened remembers what Signed.Open has returned: it depends on nothing but the bytes, a signature costs
// 50 us to verify, and where many nodes run in one process they all verify the same ones.
var opened = newMemo()

// signatureLen is the length of every signature that is right.
const signatureLen = 64

// memo keeps between half and all of memoLenMax announcements, the most recently used ones, by
// their signatures.
type memo struct {
	mu         sync.Mutex
	young, old map[[signatureLen]byte]remembered
}

// remembered is what was signed, and what is in it.
type remembered struct {
	body []byte
	a    *Announcement
}

func newMemo() *memo { return &memo{young: map[[signatureLen]byte]remembered{}} }

func (m *memo) get(s Signed) *Announcement {
	if len(s.Signature) != signatureLen {
		return nil
	}
	key := [signatureLen]byte(s.Signature)
	m.mu.Lock()
	defer m.mu.Unlock()
	r, found := m.young[key]
	if !found {
		if r, found = m.old[key]; found {
			m.add(key, r)
		}
	}
	if !found || !bytes.Equal(r.body, s.Body) {
		return nil
	}
	return r.a
}

// put remembers an announcement whose signature is right.
func (m *memo) put(s Signed, a *Announcement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add([signatureLen]byte(s.Signature), remembered{bytes.Clone(s.Body), a})
}

func (m *memo) add(key [signatureLen]byte, r remembered) {
	if len(m.young) >= memoLenMax/2 {
		m.old, m.young = m.young, make(map[[signatureLen]byte]remembered, memoLenMax/2)
	}
	m.young[key] = r
}
