package rewrite

// Go's runtime seeds its generator of random numbers once, before the snapshot: without further ado each call would draw the
// same numbers from math/rand, for the seeds of maps and for the order in which they are walked. All of them come from the
// function runtime.rand, so that this one asks the host instead. It is known by the name section, which -ldflags=-s leaves out
// (-ldflags=-w does not).

// Random is imported, () -> (i64), by modules in which Facts.GoRandom.
const Random = "random"

const goRandomName = "runtime.rand"

// randomCost is what drawing a number costs.
const randomCost = 20

// nameSection looks for Go's function. What is not as it should be there, custom sections being what they are, is no error.
func (m *module) nameSection(content []byte) {
	r := &reader{in: content, of: m}
	if string(r.vector()) != "name" {
		return
	}
	for r.more() {
		const functionNames = 1
		id, names := r.byte(), &reader{in: r.vector()}
		if id != functionNames || r.err != nil {
			continue
		}
		for range names.count(2) {
			index, name := names.u32(), names.vector()
			if string(name) == goRandomName && names.err == nil {
				m.goRandom = int64(index)
				return
			}
		}
	}
}

// checkGoRandom forgets a function that is not as Go makes them: (i32) -> (i32), with its stack pointer in the first global.
func (m *module) checkGoRandom() {
	own := m.goRandom - int64(m.importedOf[Function])
	m.goRandom = -1
	if own < 0 || own >= int64(len(m.functions)) || m.importedOf[GlobalKind] > 0 || len(m.globals) == 0 || !m.hasMemory {
		return
	}
	t := m.types[m.functions[own].signature]
	stackPointer := m.globals[0]
	if t.params == 1 && string(t.results) == "\x7f" && stackPointer.valueType == 0x7f && stackPointer.mutable {
		m.goRandom = own
	}
}

// goRandomBody is runtime.rand: by Go's convention the result lies above the return address on the stack in memory, which is
// taken off, and 0 says that the goroutine goes on.
func (w *bodyWriter) goRandomBody(random uint32) {
	w.out = append(w.out[:0], 0)
	w.pay(randomCost)
	w.test()
	w.op(opGlobalGet, 0)
	w.op(opCall, random)
	w.out = append(w.out, 0x37, 3, 8) // i64.store
	w.op(opGlobalGet, 0)
	w.i32(8)
	w.ops(opI32Add)
	w.op(opGlobalSet, 0)
	w.i32(0)
	w.ops(opEnd)
}
