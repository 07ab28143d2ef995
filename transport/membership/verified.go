package membership

import (
	"crypto/sha256"
	"sync"
)

// verifiedMax bounds how many signatures are remembered: between half of it and all.
const verifiedMax = 1 << 14

// verified remembers signatures that have proven right. The same few certificates are shown
// on each conn, and in a simulated world to each of a thousand nodes, and to check one takes
// a hundred times as long as to look it up. What is remembered follows from the key
// alone, so it does not matter who has asked. Wrong signatures are not remembered.
var verified memo

// memo is a set of hashes, of the last ones that were added.
type memo struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]struct{}
}

// holds reports whether a statement is signed by whom it names.
func (m *memo) holds(purpose string, s Signed) bool {
	signed := append([]byte(purpose), s.Body...)
	key := hashOf(signed, s)
	if m.has(key) {
		return true
	}
	if !s.By.Verify(signed, s.Signature) {
		return false
	}
	m.add(key)
	return true
}

// hashOf stands for what is signed, by whom, and the signature, which alone has no fixed
// length and comes last.
func hashOf(signed []byte, s Signed) (key [sha256.Size]byte) {
	body := sha256.Sum256(signed)
	h := sha256.New()
	h.Write(body[:])
	h.Write(s.By[:])
	h.Write(s.Signature)
	h.Sum(key[:0])
	return key
}

func (m *memo) has(key [sha256.Size]byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, young := m.young[key]
	_, old := m.old[key]
	return young || old
}

func (m *memo) add(key [sha256.Size]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.young == nil || len(m.young) >= verifiedMax/2 {
		m.young, m.old = map[[sha256.Size]byte]struct{}{}, m.young
	}
	m.young[key] = struct{}{}
}
