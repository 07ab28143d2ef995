package rewrite

import (
	"errors"
	"fmt"
)

// Sections, by their ids.
const (
	sectionCustom = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
	sectionDataCount
	sectionTag
)

// What makes a compiler work more than in proportion to the bytes is bounded.
const (
	localsPerFunctionMax = 50_000
	localsBeyondBytesMax = 200_000 // locals of all functions together, beyond the length of the module
	signatureLenMax      = 1_000   // parameters, and results, of one type
	bodyLenMax           = 4 << 20
	nestingMax           = 10_000 // blocks within each other
	tablesMax            = 100

	// A compiler's work on a function grows with the square of its branches; loops are several once they are metered. The
	// sum of the squares is bounded by these, the second for each byte of the module: some seconds at most.
	branchWorkMax        = 100_000_000
	branchWorkPerByteMax = 50
)

// module is what was read. Its slices are of the bytes that it was read from.
type module struct {
	length   int
	sections [sectionTag][]byte // nil if missing

	types     []signature
	imports   []importEntry
	functions []function // those that it defines
	tables    []tableEntry
	globals   []globalEntry
	exports   []exportEntry
	start     int64 // function index, or -1
	elements  []segment
	data      []segment

	hasMemory       bool
	memoryMin       uint32
	memoryMax       uint32    // of the module itself; 65536 if it says nothing
	importedOf      [4]uint32 // how many of each Kind
	countsData      bool      // has a section that tells the number of data segments
	goRandom        int64     // which of the functions that it defines is Go's runtime.rand, or -1
	addressTaken    []bool    // by index of defined functions
	importedMutable []bool    // by index of imported globals
}

type signature struct {
	params  int
	results []byte
}

type importEntry struct {
	name      Name
	signature uint32 // of functions
}

type limits struct {
	min, max uint32
	hasMax   bool
}

type tableEntry struct {
	element byte
	limits  limits
}

type globalEntry struct {
	valueType byte
	mutable   bool
	init      []byte // constant expression with its end
}

type exportEntry struct {
	name  []byte
	kind  Kind
	index uint32
}

type segment struct {
	flags   uint32
	table   uint32
	offset  []byte // constant expression with its end, of active ones
	kind    byte   // of elements: element kind or type
	count   int    // of elements
	content []byte // of elements: indices, or expressions
}

func (s segment) active() bool { return s.flags&1 == 0 }

type function struct {
	signature uint32
	body      []byte
}

// rank is the place of a section in the order that the format demands.
func rank(id byte) int {
	if id == sectionDataCount {
		return sectionCode*2 - 1
	}
	return int(id) * 2
}

func parse(wasm []byte) (*module, error) {
	const magic = "\x00asm\x01\x00\x00\x00"
	if len(wasm) < len(magic) || string(wasm[:len(magic)]) != magic {
		return nil, errors.New("it is no WebAssembly module of version 1")
	}
	m := &module{length: len(wasm), start: -1, goRandom: -1, memoryMax: 65536}
	r := &reader{in: wasm, at: len(magic)}
	last := 0
	for r.more() {
		id := r.byte()
		content := r.vector()
		switch {
		case r.err != nil:
			return nil, r.err
		case id == sectionCustom: // they say nothing about what the module does
			m.nameSection(content)
			continue
		case id == sectionTag:
			return nil, errors.New("exceptions (a tag section) are not supported")
		case id > sectionTag:
			return nil, fmt.Errorf("section %d is not known", id)
		case rank(id) <= last:
			return nil, fmt.Errorf("section %d is not where it belongs, or there twice", id)
		}
		last = rank(id)
		m.sections[id] = content
		if content == nil {
			m.sections[id] = []byte{}
		}
	}
	err := m.parseSections()
	m.checkGoRandom()
	return m, err
}

func (m *module) parseSections() error {
	for _, s := range []struct {
		id    int
		name  string
		parse func(*reader)
	}{
		{sectionType, "types", m.parseTypes},
		{sectionImport, "imports", m.parseImports},
		{sectionFunction, "functions", m.parseFunctions},
		{sectionTable, "tables", m.parseTables},
		{sectionMemory, "memories", m.parseMemory},
		{sectionGlobal, "globals", m.parseGlobals},
		{sectionExport, "exports", m.parseExports},
		{sectionStart, "start", func(r *reader) { m.start = int64(m.functionIndex(r)) }},
		{sectionElement, "elements", m.parseElements},
		{sectionData, "data", m.parseData},
		{sectionCode, "code", m.parseCode},
	} {
		if m.sections[s.id] == nil {
			continue
		}
		r := &reader{in: m.sections[s.id], of: m}
		s.parse(r)
		if r.err == nil && r.more() {
			r.failf("there is something behind its end")
		}
		if r.err != nil {
			return fmt.Errorf("section of %s: %w", s.name, r.err)
		}
	}
	if len(m.functions) > 0 && m.sections[sectionCode] == nil {
		return errors.New("functions are declared, and none has a body")
	}
	count := m.sections[sectionDataCount]
	m.countsData = count != nil
	if m.countsData {
		if r := (&reader{in: count}); int(r.u32()) != len(m.data) || r.err != nil || r.more() {
			return errors.New("the count of data segments is another than there are")
		}
	}
	return nil
}

func (m *module) parseTypes(r *reader) {
	for range r.count(3) {
		if form := r.byte(); form != 0x60 && r.err == nil {
			r.failf("type form 0x%02x is not supported (garbage-collected types)", form)
			return
		}
		params := r.valueTypes()
		m.types = append(m.types, signature{len(params), r.valueTypes()})
	}
}

func (r *reader) valueTypes() []byte {
	n := r.count(1)
	if n > signatureLenMax {
		r.failf("a function type has %d parameters or results, at most %d are supported", n, signatureLenMax)
		return nil
	}
	start := r.at
	for range n {
		r.valueType()
	}
	if r.err != nil {
		return nil
	}
	return r.in[start:r.at:r.at]
}

func (m *module) parseImports(r *reader) {
	for range r.count(4) {
		e := importEntry{name: Name{Module: string(r.vector()), Name: string(r.vector())}}
		e.name.Kind = Kind(r.byte())
		switch e.name.Kind {
		case Function:
			e.signature = m.typeIndex(r)
		case Table:
			r.table()
		case Memory:
			m.memory(r)
		case GlobalKind:
			r.valueType()
			m.importedMutable = append(m.importedMutable, r.mutable())
		default:
			r.failf("imports of kind %d are not supported", e.name.Kind)
		}
		if r.err != nil {
			return
		}
		if e.name.Module == RefuelModule {
			r.failf("nothing may be imported from %q", RefuelModule)
			return
		}
		m.importedOf[e.name.Kind]++
		m.imports = append(m.imports, e)
	}
}

func (m *module) typeIndex(r *reader) uint32 {
	i := r.u32()
	if int64(i) >= int64(len(m.types)) && r.err == nil {
		r.failf("function type %d is not there", i)
	}
	return i
}

func (m *module) functionIndex(r *reader) uint32 {
	i := r.u32()
	if int64(i) >= int64(m.importedOf[Function])+int64(len(m.functions)) && r.err == nil {
		r.failf("function %d is not there", i)
	}
	return i
}

func (r *reader) mutable() bool {
	b := r.byte()
	if b > 1 {
		r.failf("mutability 0x%02x is not known", b)
	}
	return b == 1
}

func (r *reader) limits() (l limits) {
	switch flags := r.byte(); flags {
	case 0, 1:
		l.min, l.hasMax = r.u32(), flags == 1
		if l.hasMax {
			l.max = r.u32()
		}
	case 2, 3:
		r.failf("shared memory is not supported")
	case 4, 5, 6, 7:
		r.failf("memories and tables of 64 bits are not supported")
	default:
		r.failf("limits 0x%02x are not known", flags)
	}
	return l
}

func (r *reader) table() tableEntry {
	t := tableEntry{element: r.byte()}
	if t.element != 0x70 && t.element != 0x6f {
		r.failf("element type 0x%02x of a table is not supported", t.element)
	}
	t.limits = r.limits()
	return t
}

func (m *module) memory(r *reader) {
	l := r.limits()
	if m.hasMemory || m.importedOf[Memory] > 0 {
		r.failf("several memories are not supported")
		return
	}
	m.memoryMin = l.min
	if l.hasMax {
		m.memoryMax = l.max
	}
	if m.memoryMin > m.memoryMax || m.memoryMax > 65536 {
		r.failf("a memory cannot have %d to %d pages", m.memoryMin, m.memoryMax)
	}
}

func (m *module) parseMemory(r *reader) {
	for range r.count(2) {
		m.memory(r)
		m.hasMemory = true
	}
}

func (m *module) parseFunctions(r *reader) {
	n := r.count(1)
	m.functions = make([]function, 0, n)
	for range n {
		m.functions = append(m.functions, function{signature: m.typeIndex(r)})
	}
	m.addressTaken = make([]bool, n)
}

func (m *module) parseTables(r *reader) {
	n := r.count(3)
	if n > tablesMax {
		r.failf("there are %d tables, at most %d are supported", n, tablesMax)
		return
	}
	for range n {
		m.tables = append(m.tables, r.table())
	}
}

func (m *module) parseGlobals(r *reader) {
	for range r.count(4) {
		g := globalEntry{valueType: r.valueType(), mutable: r.mutable()}
		g.init = m.constant(r)
		m.globals = append(m.globals, g)
	}
}

// constantOps are what constant expressions consist of. Anything else would be carried out by Init.
var constantOps = map[opcode]bool{opI32Const: true, opI64Const: true, 0x43: true, 0x44: true, 0xfd<<16 | 12: true, 0xd0: true, opGlobalGet: true,
	opI32Add: true, opI32Sub: true, 0x6c: true, 0x7c: true, opI64Sub: true, 0x7e: true}

func (m *module) mutable(global uint32) bool {
	if imported := m.importedOf[GlobalKind]; global >= imported {
		return m.globals[global-imported].mutable
	}
	return m.importedMutable[global]
}

// constant reads a constant expression, with its end, and notes the functions whose addresses are in it.
func (m *module) constant(r *reader) []byte {
	start := r.at
	for r.err == nil {
		i := r.instruction()
		switch {
		case i.op == opEnd:
			return r.in[start:r.at:r.at]
		case i.op == opRefFunc:
			m.takeAddress(i.index)
		case !constantOps[i.op], i.op == opGlobalGet && r.err == nil && m.mutable(i.index):
			r.failf("an expression that should be constant is not")
		}
	}
	return nil
}

func (m *module) takeAddress(index uint32) {
	if own := int64(index) - int64(m.importedOf[Function]); own >= 0 && own < int64(len(m.addressTaken)) {
		m.addressTaken[own] = true
	}
}

func (m *module) parseExports(r *reader) {
	for range r.count(3) {
		e := exportEntry{name: r.vector(), kind: Kind(r.byte()), index: r.u32()}
		switch {
		case r.err != nil:
			return
		case e.kind > GlobalKind:
			r.failf("exports of kind %d are not supported", e.kind)
		case e.kind == Function && int64(e.index) >= int64(m.importedOf[Function])+int64(len(m.functions)),
			e.kind == GlobalKind && int64(e.index) >= int64(m.importedOf[GlobalKind])+int64(len(m.globals)):
			r.failf("%s %d is exported, which is not there", e.kind, e.index)
		case reserved(e.name):
			r.failf("the name %.60q of an export is reserved: none may begin with %q", e.name, Prefix)
		}
		m.exports = append(m.exports, e)
	}
}
