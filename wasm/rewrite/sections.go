package rewrite

import "fmt"

func (w *writer) typeSection() []byte {
	out := appendU(nil, w.typeCount)
	if raw := w.sections[sectionType]; raw != nil {
		out = append(out, afterCount(raw)...)
	}
	return append(out, w.newTypes...)
}

// afterCount is a section without the count that it begins with.
func afterCount(section []byte) []byte {
	r := &reader{in: section}
	r.u32()
	return section[r.at:]
}

func (w *writer) importSection() []byte {
	out := appendU(nil, uint32(len(w.imports))+w.added())
	if raw := w.sections[sectionImport]; raw != nil {
		out = append(out, afterCount(raw)...)
	}
	out = appendVector(out, []byte(RefuelModule))
	out = appendVector(out, []byte(Refuel))
	out = appendU(append(out, byte(Function)), w.emptyType)
	if w.goRandom < 0 {
		return out
	}
	out = appendVector(out, []byte(RefuelModule))
	out = appendVector(out, []byte(Random))
	return appendU(append(out, byte(Function)), w.randomType)
}

func (w *writer) functionSection() []byte {
	if !w.facts.HasInit {
		return w.sections[sectionFunction]
	}
	out := appendU(nil, uint32(len(w.functions))+1)
	if raw := w.sections[sectionFunction]; raw != nil {
		out = append(out, afterCount(raw)...)
	}
	return appendU(out, w.emptyType)
}

// tableSection gives each table the same share of the bound.
func (w *writer) tableSection() ([]byte, error) {
	if w.sections[sectionTable] == nil || w.o.TableElemsMax == 0 || len(w.tables) == 0 {
		return w.sections[sectionTable], nil
	}
	share := w.o.TableElemsMax / uint32(len(w.tables))
	out := appendU(nil, uint32(len(w.tables)))
	for i, t := range w.tables {
		l := t.limits
		if l.min > share || l.hasMax && l.max < l.min {
			return nil, fmt.Errorf("table %d wants %d elements at least, %d are allowed", i, l.min, share)
		}
		if !l.hasMax || l.max > share {
			l.max = share
		}
		out = appendU(appendU(append(out, t.element, 1), l.min), l.max)
	}
	return out, nil
}

// memorySection declares one page more than the memory may have: whoever allocates it refuses that page, and can answer a
// request for it with less than there is, by which memory shrinks.
func (w *writer) memorySection() ([]byte, error) {
	if !w.hasMemory || w.o.MemoryPagesMax == 0 {
		return w.sections[sectionMemory], nil
	}
	if w.memoryMin > w.o.MemoryPagesMax {
		return nil, fmt.Errorf("its memory begins with %d pages of 64 KiB, %d are allowed", w.memoryMin, w.o.MemoryPagesMax)
	}
	return appendU(appendU([]byte{1, 1}, w.memoryMin), w.facts.MemoryPagesMax+1), nil
}

// globalSection adds the fuel and the depth, both 0.
func (w *writer) globalSection() []byte {
	out := appendU(nil, uint32(len(w.globals))+2)
	if raw := w.sections[sectionGlobal]; raw != nil {
		for _, g := range w.globals {
			mutable := byte(0)
			if g.mutable {
				mutable = 1
			}
			out = w.appendConstant(append(out, g.valueType, mutable), g.init)
		}
	}
	out = append(out, 0x7e, 1, byte(opI64Const), 0, byte(opEnd))
	return append(out, 0x7f, 1, byte(opI32Const), 0, byte(opEnd))
}

// appendConstant appends a constant expression, with functions under their new indices.
func (w *writer) appendConstant(out, expression []byte) []byte {
	r := &reader{in: expression, of: w.module}
	for r.more() {
		i := r.instruction()
		if i.op == opRefFunc {
			out = appendU(append(out, byte(opRefFunc)), w.moved(i.index))
		} else {
			out = append(out, expression[i.start:i.end]...)
		}
	}
	return out
}

func (w *writer) exportSection() []byte {
	own := []Name{{Name: Fuel, Kind: GlobalKind}, {Name: Depth, Kind: GlobalKind}}
	fuel := w.importedOf[GlobalKind] + uint32(len(w.globals))
	indices := []uint32{fuel, fuel + 1}
	at := 0
	for i, g := range w.globals {
		if !g.mutable {
			continue
		}
		if name := w.facts.Globals[at].Export; reserved([]byte(name)) {
			own = append(own, Name{Name: name, Kind: GlobalKind})
			indices = append(indices, w.importedOf[GlobalKind]+uint32(i))
		}
		at++
	}
	if w.facts.HasInit {
		own = append(own, Name{Name: Init, Kind: Function})
		indices = append(indices, w.moved(w.importedOf[Function]+uint32(len(w.functions))))
	}
	out := appendU(nil, uint32(len(w.exports)+len(own)))
	for _, e := range w.exports {
		index := e.index
		if e.kind == Function {
			index = w.moved(index)
		}
		out = appendU(append(appendVector(out, e.name), byte(e.kind)), index)
	}
	for i, n := range own {
		out = appendU(append(appendVector(out, []byte(n.Name)), byte(n.Kind)), indices[i])
	}
	return out
}

func (w *writer) elementSection() []byte {
	if w.sections[sectionElement] == nil {
		return nil
	}
	out := appendU(nil, uint32(len(w.elements)))
	for _, s := range w.elements {
		out = appendU(out, s.flags)
		if s.active() {
			if s.flags&2 != 0 {
				out = appendU(out, s.table)
			}
			out = w.appendConstant(out, s.offset)
		}
		if s.flags&3 != 0 {
			out = append(out, s.kind)
		}
		out = appendU(out, uint32(s.count))
		if s.flags&4 != 0 {
			out = w.appendConstant(out, s.content)
			continue
		}
		for r := (&reader{in: s.content}); r.more(); {
			out = appendU(out, w.moved(r.u32()))
		}
	}
	return out
}

func (w *writer) dataCountSection() []byte {
	if w.sections[sectionData] == nil {
		return w.sections[sectionDataCount]
	}
	return appendU(nil, uint32(len(w.data)))
}

// dataSection makes all segments passive: Init puts the active ones into memory.
func (w *writer) dataSection() []byte {
	if w.sections[sectionData] == nil {
		return nil
	}
	out := appendU(make([]byte, 0, len(w.sections[sectionData])+8), uint32(len(w.data)))
	for _, s := range w.data {
		out = appendVector(append(out, 1), s.content)
	}
	return out
}
