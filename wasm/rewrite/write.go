package rewrite

import (
	"fmt"
	"slices"
)

// mutableGlobalsMax bounds what is put back one by one.
const mutableGlobalsMax = 256

// writer writes the rewritten form of a module.
type writer struct {
	*module
	o          Options
	facts      Facts
	newTypes   []byte // encoded
	typeCount  uint32
	emptyType  uint32 // of functions without parameters and results
	randomType uint32 // of Random
	blocks     map[string]uint32
	code       []byte
}

func inFunction(n int, err error) error {
	return fmt.Errorf("function %d of those it defines: %w", n, err)
}

func (w *writer) write() ([]byte, error) {
	w.typeCount = uint32(len(w.types))
	w.blocks = map[string]uint32{}
	w.emptyType = w.addType(nil)
	graph, remains, err := w.survey()
	if err != nil {
		return nil, err
	}
	w.state(remains)
	if err := w.bodies(graph.recursive()); err != nil {
		return nil, err
	}
	memory, err := w.memorySection()
	if err != nil {
		return nil, err
	}
	tables, err := w.tableSection()
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(w.code)+len(w.code)/8+len(w.sections[sectionData])+4096)
	out = append(out, "\x00asm\x01\x00\x00\x00"...)
	for _, s := range []struct {
		id      byte
		content []byte
	}{
		{sectionType, w.typeSection()},
		{sectionImport, w.importSection()},
		{sectionFunction, w.functionSection()},
		{sectionTable, tables},
		{sectionMemory, memory},
		{sectionGlobal, w.globalSection()},
		{sectionExport, w.exportSection()},
		{sectionElement, w.elementSection()},
		{sectionDataCount, w.dataCountSection()},
		{sectionCode, w.code},
		{sectionData, w.dataSection()},
	} {
		if s.content != nil {
			out = appendVector(append(out, s.id), s.content)
		}
	}
	return out, nil
}

// addType adds a function type without parameters.
func (w *writer) addType(results []byte) uint32 {
	w.newTypes = appendVector(append(w.newTypes, 0x60, 0), results)
	w.typeCount++
	return w.typeCount - 1
}

// blockOf is the type of a block with results.
func (w *writer) blockOf(results []byte) int64 {
	switch len(results) {
	case 0:
		return voidBlock - 0x80
	case 1:
		return int64(results[0]) - 0x80
	}
	index, ok := w.blocks[string(results)]
	if !ok {
		index = w.addType(results)
		w.blocks[string(results)] = index
	}
	return int64(index)
}

// state fills in what a host must know.
func (w *writer) state(remains []string) {
	f := &w.facts
	for _, i := range w.imports {
		f.Imports = append(f.Imports, i.name)
	}
	named := map[uint32]string{}
	for _, e := range w.exports {
		f.Exports = append(f.Exports, Name{Name: string(e.name), Kind: e.kind})
		if e.kind == GlobalKind {
			named[e.index] = string(e.name)
		}
	}
	f.HasMemory, f.MemoryPagesMin, f.MemoryPagesMax = w.hasMemory, w.memoryMin, w.memoryMax
	if w.o.MemoryPagesMax > 0 {
		f.MemoryPagesMax = min(w.memoryMax, w.o.MemoryPagesMax)
	}
	f.GoRandom = w.goRandom >= 0
	if f.GoRandom {
		w.randomType = w.addType([]byte{0x7e})
	}
	f.HasInit = w.start >= 0 || slices.ContainsFunc(w.data, segment.active)
	for i, g := range w.globals {
		if !g.mutable {
			continue
		}
		index := w.importedOf[GlobalKind] + uint32(i)
		name, ok := named[index]
		if !ok {
			name = fmt.Sprintf("%sg%d", Prefix, index)
		}
		f.Globals = append(f.Globals, Global{Export: name, Type: g.valueType})
		if why := "it has mutable globals that the host cannot read"; g.valueType < 0x7c && !slices.Contains(remains, why) {
			remains = append(remains, why)
		}
	}
	if len(f.Globals) > mutableGlobalsMax {
		remains = append(remains, "it has too many mutable globals")
	}
	if w.importedOf[Memory]+w.importedOf[Table] > 0 || slices.Contains(w.importedMutable, true) {
		remains = append(remains, "it has memory, tables or globals of somebody else")
	}
	f.Fresh = remains
}

// bodies writes the code section.
func (w *writer) bodies(recursive []bool) error {
	count := uint32(len(w.functions))
	if w.facts.HasInit {
		count++
	}
	b := bodyWriter{refuel: w.importedOf[Function], added: w.added(), depthMax: w.o.DepthMax}
	b.fuel = w.importedOf[GlobalKind] + uint32(len(w.globals))
	b.depth = b.fuel + 1
	w.code = appendU(make([]byte, 0, len(w.sections[sectionCode])*3/2), count)
	for n, f := range w.functions {
		signature := w.types[f.signature]
		if err := b.read(w.module, f.body, signature.params); err != nil {
			return inFunction(n, err)
		}
		b.recursion = w.o.DepthMax > 0 && recursive[n]
		if b.recursion {
			b.weight = 1 + int64(b.locals)/16
			b.resultBlock = w.blockOf(signature.results)
		}
		if int64(n) == w.goRandom {
			b.goRandomBody(b.refuel + 1)
		} else {
			b.out = b.out[:0]
			b.write()
		}
		w.code = appendVector(w.code, b.out)
	}
	if w.facts.HasInit {
		w.code = appendVector(w.code, w.initBody())
	}
	return nil
}

// moved is the new index of a function.
func (w *writer) moved(index uint32) uint32 {
	if index >= w.importedOf[Function] {
		return index + w.added()
	}
	return index
}

// added is how many functions are imported beyond those that the module imports.
func (w *writer) added() uint32 {
	if w.goRandom >= 0 {
		return 2
	}
	return 1
}

// initBody does what instantiation did: the active data segments, and the start function.
func (w *writer) initBody() []byte {
	b := bodyWriter{out: []byte{0}}
	for i, s := range w.data {
		if !s.active() {
			continue
		}
		b.out = append(b.out, s.offset[:len(s.offset)-1]...)
		b.i32(0)
		b.i32(int64(int32(len(s.content))))
		b.out = append(appendU(append(b.out, 0xfc, byte(opMemoryInit&0xff)), uint32(i)), 0)
		b.out = appendU(append(b.out, 0xfc, byte(opDataDrop&0xff)), uint32(i))
	}
	if w.start >= 0 {
		b.op(opCall, w.moved(uint32(w.start)))
	}
	b.ops(opEnd)
	return b.out
}
