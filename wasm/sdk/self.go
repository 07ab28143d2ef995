package sdk

import (
	"encoding/binary"
	"io"

	"github.com/taucloud/tau/wasm/engine"
)

// self are the functions about the function itself.
func (l *functions) self() {
	for _, v := range []struct {
		name string
		of   func(Self) string
	}{
		{"selfApplication", func(s Self) string { return s.Application }},
		{"selfProject", func(s Self) string { return s.Project }},
		{"selfId", func(s Self) string { return s.Function }},
		{"selfCommit", func(s Self) string { return s.Commit }},
		{"selfBranch", func(s Self) string { return s.Branch }},
	} {
		l.add(v.name+"Size", "i", ErrEventNotFound, func(g guest) Errno { return g.put32(0, uint32(len(v.of(g.config.Self)))) })
		l.add(v.name, "i", ErrEventNotFound, func(g guest) Errno { return g.give(0, v.of(g.config.Self)) })
	}
}

// random is cryptoRead, which also a guest has that is only being started.
func (l *functions) random() {
	*l = append(*l, engine.HostFunction{Name: "cryptoRead", Params: values("iii"), Results: values("i"), Call: func(c *engine.Call, stack []uint64) {
		stack[0] = uint64(guest{Call: c, stack: stack}.draw())
	}})
}

func (g guest) draw() Errno {
	part, ok := g.Memory().Read(g.u32(0), g.u32(1))
	if !ok {
		return ErrMemory
	}
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(part)))
	if !g.Memory().Write(g.u32(2), n[:]) {
		return ErrMemory
	}
	g.Pay(8 * uint64(len(part)))
	clear(part)
	if g.World.Rand == nil {
		return OK
	}
	if _, err := io.ReadFull(g.World.Rand, part); err != nil {
		return ErrRandom
	}
	return OK
}
