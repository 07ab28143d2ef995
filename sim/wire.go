package sim

import "fmt"

// carrier moves the bytes of frames between two nodes. It decides nothing: the
// world calls it when a frame has arrived, on the world's thread, and goes on
// when the bytes are out at the other end.
type carrier interface {
	addNode(n *Node) error
	connect(c *conn) error
	// carry sends a frame from side and returns what comes out at the other.
	carry(c *conn, side int, frame []byte) ([]byte, error)
	disconnect(c *conn)
	close()
}

func newCarrier(w *World) (carrier, error) {
	switch w.cfg.Wire {
	case Direct:
		return directWire{}, nil
	case Mocknet:
		return newMocknetWire(w)
	}
	return nil, fmt.Errorf("sim: no wire is called %q (mocknet or direct)", w.cfg.Wire)
}

// directWire hands frames over in memory.
type directWire struct{}

func (directWire) addNode(*Node) error                            { return nil }
func (directWire) connect(*conn) error                            { return nil }
func (directWire) carry(_ *conn, _ int, f []byte) ([]byte, error) { return f, nil }
func (directWire) disconnect(*conn)                               {}
func (directWire) close()                                         {}
