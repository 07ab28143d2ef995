package sdktest

import (
	"encoding/binary"

	"github.com/taucloud/tau/wasm/engine"
	"github.com/tetratelabs/wazero/api"
)

// The module that is told what to do, by the first four of its imports.
const (
	told  = "sdktest"
	run   = "run"
	tells = 4
)

// instructions of a module.
const (
	opLoop, opIf, opEnd, opBr, opReturn = 0x03, 0x04, 0x0b, 0x0c, 0x0f
	opCall, opGet, opTee, opConst, opEq = 0x10, 0x20, 0x22, 0x41, 0x46
	empty                               = 0x40
)

// module makes a module that imports these functions and, for ever, asks which of them to call, with what, and tells what came of it.
func module(pages uint32, functions []engine.HostFunction) []byte {
	const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
	imports := []engine.HostFunction{
		{Name: "next", Results: []api.ValueType{i32}},
		{Name: "param32", Params: []api.ValueType{i32}, Results: []api.ValueType{i32}},
		{Name: "param64", Params: []api.ValueType{i32}, Results: []api.ValueType{i64}},
		{Name: "result", Params: []api.ValueType{i32}},
	}
	imports = append(imports, functions...)
	var types, imported []byte
	for i, f := range imports {
		types = lengthed(lengthed(append(types, 0x60), f.Params), f.Results)
		from := told
		if i >= tells {
			from = f.Name[:len(f.Name)-len(Base(f.Name))-1]
		}
		imported = number(append(lengthed(lengthed(imported, []byte(from)), []byte(Base(f.Name))), 0), i)
	}
	types = append(types, 0x60, 0, 0)
	body := []byte{1, 1, i32, opLoop, empty, opCall, 0, opTee, 0, opConst, 0x7f, opEq, opIf, empty, opReturn, opEnd}
	for i, f := range functions {
		body = append(signed(append(body, opGet, 0, opConst), i), opEq, opIf, empty)
		for p, v := range f.Params {
			ask := byte(1)
			if v == i64 {
				ask = 2
			}
			body = append(signed(append(body, opConst), p), opCall, ask)
		}
		body = number(append(body, opCall), tells+i)
		if len(f.Results) == 0 {
			body = append(body, opConst, 0)
		}
		body = append(body, opCall, 3, opEnd)
	}
	body = append(body, opBr, 0, opEnd, opEnd)
	exports := number(append(lengthed(nil, []byte(run)), 0), len(imports))
	exports = append(lengthed(exports, []byte("memory")), 2, 0)
	m := []byte("\x00asm\x01\x00\x00\x00")
	m = section(m, 1, len(imports)+1, types)
	m = section(m, 2, len(imports), imported)
	m = section(m, 3, 1, number(nil, len(imports)))
	m = section(m, 5, 1, number([]byte{0}, int(pages)))
	m = section(m, 7, 2, exports)
	return section(m, 10, 1, lengthed(nil, body))
}

func number(to []byte, n int) []byte { return binary.AppendUvarint(to, uint64(n)) }

// signed appends a number that is not negative in the form of constants.
func signed(to []byte, n int) []byte {
	for n >= 0x40 {
		to = append(to, byte(n&0x7f)|0x80)
		n >>= 7
	}
	return append(to, byte(n))
}

func lengthed(to, b []byte) []byte { return append(number(to, len(b)), b...) }

func section(to []byte, id byte, count int, items []byte) []byte {
	return lengthed(append(to, id), append(number(nil, count), items...))
}
