package nodetest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/transporttest"
)

// Move gives the machine another address. Its conns break, and nobody is told.
func (m *Machine) Move() {
	m.moves.Add(1)
	if m.host != nil {
		m.host.Reset()
	}
}

// Address is where the machine is now.
func (m *Machine) Address() string { return fmt.Sprintf("%s#%d", m.Name, m.moves.Load()) }

func (m *Machine) contacts() (list []node.Contact) {
	for _, c := range m.Contacts {
		one := node.Contact{Peer: c.Peer(), Addresses: []string{c.Address()}}
		for _, s := range c.services {
			if m.AllContacts && !s.Spec.Everywhere {
				one.Services = append(one.Services, s.Spec.Name)
			}
		}
		list = append(list, one)
	}
	return list
}

// place is the host of a machine that learns where the others are. It reaches whoever is where it was told,
// or where it was when the two last had a conn.
type place struct {
	*transporttest.PipeHost
	machine *Machine

	mu   sync.Mutex
	told map[transport.Peer][]string
	met  map[transport.Peer]string
}

func newPlace(m *Machine) *place {
	p := &place{PipeHost: m.host, machine: m, told: map[transport.Peer][]string{}, met: map[transport.Peer]string{}}
	m.place.Store(p)
	return p
}

// Addresses implements transport.Addressed.
func (p *place) Addresses() []string { return []string{p.machine.Address()} }

// SetAddresses implements transport.Addressed.
func (p *place) SetAddresses(peer transport.Peer, addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told[peer] = addresses
}

// Open implements transport.Host.
func (p *place) Open(to transport.Peer, class transport.Class, opened func(transport.Conn, error)) {
	other := p.machine.cloud.machineOf(to)
	var there *place
	if other != nil {
		there = other.place.Load()
	}
	if there == nil || !p.reaches(to, other.Address()) {
		opened(nil, transport.New(transport.Unreachable, "open", "nobody is where "+to.Short()+" was"))
		return
	}
	p.meet(to, other.Address())
	there.meet(p.machine.Peer(), p.machine.Address())
	p.PipeHost.Open(to, class, opened)
}

func (p *place) reaches(peer transport.Peer, at string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.met[peer] == at || slices.Contains(p.told[peer], at)
}

func (p *place) meet(peer transport.Peer, at string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.met[peer] = at
}

func (c *Cloud) machineOf(p transport.Peer) *Machine {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.machines {
		if m.Peer() == p {
			return m
		}
	}
	return nil
}
