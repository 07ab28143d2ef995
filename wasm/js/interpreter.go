package js

import (
	"bytes"
	"unicode/utf8"

	"github.com/taucloud/tau/wasm/engine"
)

// interpreter is a call in which the guest is QuickJS. Its values are pointers to where the guest has them. None is freed: all is
// put back when the call has ended.
type interpreter struct {
	*engine.Call
	*program
}

// Layout of program.scratch: a list of arguments, then a length.
const (
	argsMax    = 5
	lengthAt   = 4 * argsMax
	scratchLen = lengthAt + 4
)

// States of a promise; the third is that it is fulfilled.
const (
	promisePending  = 0
	promiseRejected = 2
)

// must calls a function of the guest. What ends that ends the call.
func (i interpreter) must(name string, args ...uint64) uint32 {
	v, err := i.Invoke(name, args...)
	if err != nil {
		i.Stop(err)
	}
	return uint32(v)
}

// room is memory of the guest.
func (i interpreter) room(length int) uint32 {
	at := i.must("wasm_malloc", uint64(length))
	if at == 0 {
		i.Stop(errMemory)
	}
	return at
}

// put copies bytes into the guest, with a zero after them.
func (i interpreter) put(bytes []byte) uint32 {
	i.Pay(uint64(len(bytes)))
	at := i.room(len(bytes) + 1)
	if !i.Memory().Write(at, bytes) || !i.Memory().WriteByte(at+uint32(len(bytes)), 0) {
		i.Stop(engine.ErrPointer)
	}
	return at
}

func (i interpreter) zeroed(text string) uint32 { return i.put([]byte(text)) }

// text is a string.
func (i interpreter) text(text string) uint32 {
	at := i.zeroed(text)
	v := i.must("qjs_new_string", uint64(at), uint64(len(text)))
	i.must("wasm_free", uint64(at))
	return v
}

// buffer is an ArrayBuffer with a copy of bytes.
func (i interpreter) buffer(bytes []byte) uint32 {
	at := i.put(bytes)
	v := i.must("qjs_new_array_buffer", uint64(at), uint64(len(bytes)))
	i.must("wasm_free", uint64(at))
	return v
}

// utf8 shows what a value is as a string, in UTF-8 as far as it can be, in the guest's memory: for as long as take runs.
func (i interpreter) utf8(v uint32, take func(text []byte)) {
	at := i.must("qjs_get_string_len", uint64(v), uint64(i.scratch+lengthAt))
	if at == 0 { // it cannot be one: an exception is pending
		i.must("qjs_get_exception")
		take(nil)
		return
	}
	length, _ := i.Memory().ReadUint32Le(i.scratch + lengthAt)
	text, ok := i.Memory().Read(at, length)
	if !ok {
		i.Stop(engine.ErrPointer)
	}
	i.Pay(uint64(length))
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD")) // half a pair of surrogates is no character
	}
	take(text)
	i.must("qjs_free_cstring", uint64(at))
}

// string is a copy of at most so many bytes of a value as a string.
func (i interpreter) string(v uint32, most int) (text string) {
	i.utf8(v, func(whole []byte) { text = string(whole[:min(len(whole), most)]) })
	return text
}

// view is part of an ArrayBuffer, as it is in the guest's memory: for now alone.
func (i interpreter) view(buffer, offset, length uint32) []byte {
	at := i.must("qjs_get_array_buffer", uint64(buffer), uint64(i.scratch+lengthAt))
	whole, _ := i.Memory().ReadUint32Le(i.scratch + lengthAt)
	if uint64(offset)+uint64(length) > uint64(whole) || length > 0 && at == 0 {
		i.Stop(engine.ErrPointer)
	}
	bytes, ok := i.Memory().Read(at+offset, length)
	if !ok {
		i.Stop(engine.ErrPointer)
	}
	i.Pay(uint64(length))
	return bytes
}

// eval evaluates code.
func (i interpreter) eval(code []byte, file string, flags uint64) (uint32, error) {
	at := i.put(code)
	v, err := i.result(i.must("qjs_eval", uint64(at), uint64(len(code)), uint64(i.zeroed(file)), flags))
	i.must("wasm_free", uint64(at))
	return v, err
}

// call calls a function, with at most argsMax arguments.
func (i interpreter) call(f uint32, args ...uint32) (uint32, error) {
	for n, arg := range args {
		if !i.Memory().WriteUint32Le(i.scratch+uint32(4*n), arg) {
			i.Stop(engine.ErrPointer)
		}
	}
	return i.result(i.must("qjs_call", uint64(f), uint64(i.undefined), uint64(len(args)), uint64(i.scratch)))
}

// result is a value, or what was thrown.
func (i interpreter) result(v uint32) (uint32, error) {
	if v == 0 {
		return 0, errMemory
	}
	if i.must("qjs_is_exception", uint64(v)) == 0 {
		return v, nil
	}
	return 0, i.explain(i.must("qjs_get_exception"))
}

// explain says what was thrown.
func (i interpreter) explain(thrown uint32) error {
	if i.describe == 0 { // the runtime itself: a bug
		return &Error{i.string(thrown, textMax)}
	}
	x := i.Request.Value.(Asked).JavaScript()
	was := x.failure
	x.failure = ""
	v, err := i.call1(i.describe, thrown)
	text := x.failure
	x.failure = was
	if err != nil || v == 0 || text == "" {
		text = "it threw what cannot be told"
	}
	return &Error{i.sources.in(text)}
}

// call1 is call without an explanation.
func (i interpreter) call1(f, arg uint32) (uint32, error) {
	if !i.Memory().WriteUint32Le(i.scratch, arg) {
		i.Stop(engine.ErrPointer)
	}
	v := i.must("qjs_call", uint64(f), uint64(i.undefined), 1, uint64(i.scratch))
	if v == 0 || i.must("qjs_is_exception", uint64(v)) != 0 {
		return 0, errMemory
	}
	return v, nil
}

// drain carries out what promises wait for.
func (i interpreter) drain() {
	for i.must("qjs_is_job_pending") != 0 {
		if int32(i.must("qjs_execute_pending_job")) < 0 {
			_, _ = i.World.Stderr.Write([]byte(i.explain(i.must("qjs_get_exception")).Error() + "\n"))
		}
	}
}
