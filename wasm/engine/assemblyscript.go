package engine

import (
	"encoding/binary"
	"io"
	"math"
	"unicode/utf16"

	"github.com/tetratelabs/wazero/api"
)

// assemblyScript is what modules of that language import unless they are told otherwise.
func assemblyScript() Host {
	const i32, f64 = api.ValueTypeI32, api.ValueTypeF64
	return Host{"env", []HostFunction{
		{"abort", []api.ValueType{i32, i32, i32, i32}, nil, func(c *Call, stack []uint64) {
			c.Stop(&Trap{Text: "it aborted: " + c.utf16(uint32(stack[0]))})
		}},
		{"seed", nil, []api.ValueType{f64}, func(c *Call, stack []uint64) { // of Math.random, when that is first called
			var seed [8]byte
			if c.World.Rand != nil {
				if _, err := io.ReadFull(c.World.Rand, seed[:]); err != nil {
					c.Stop(err)
				}
			}
			stack[0] = math.Float64bits(float64(binary.LittleEndian.Uint64(seed[:]) >> 11))
		}},
		{"trace", []api.ValueType{i32, i32, f64, f64, f64, f64, f64}, nil, func(c *Call, stack []uint64) {
			_, _ = io.WriteString(c.World.Stderr, c.utf16(uint32(stack[0]))+"\n")
		}},
	}}
}

// utf16 reads a string of AssemblyScript: before it lies its length in bytes.
func (c *Call) utf16(at uint32) string {
	const lengthMax = 2000
	length, _ := c.Memory().ReadUint32Le(at - 4)
	raw, ok := c.Memory().Read(at, min(length, lengthMax)&^1)
	if !ok || at < 4 {
		return ""
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return string(utf16.Decode(units))
}
