package rewrite

// opcode is an instruction's, the prefixed ones' with the prefix in the upper half.
type opcode uint32

const (
	opUnreachable  opcode = 0x00
	opNop          opcode = 0x01
	opBlock        opcode = 0x02
	opLoop         opcode = 0x03
	opIf           opcode = 0x04
	opElse         opcode = 0x05
	opEnd          opcode = 0x0b
	opBr           opcode = 0x0c
	opBrIf         opcode = 0x0d
	opBrTable      opcode = 0x0e
	opReturn       opcode = 0x0f
	opCall         opcode = 0x10
	opCallIndirect opcode = 0x11
	opReturnCall   opcode = 0x12
	opReturnCallIn opcode = 0x13
	opLocalGet     opcode = 0x20
	opLocalTee     opcode = 0x22
	opGlobalGet    opcode = 0x23
	opGlobalSet    opcode = 0x24
	opTableSet     opcode = 0x26
	opI32Const     opcode = 0x41
	opI64Const     opcode = 0x42
	opI32GtU       opcode = 0x4b
	opI64LtS       opcode = 0x53
	opI32Add       opcode = 0x6a
	opI32Sub       opcode = 0x6b
	opI64Sub       opcode = 0x7d
	opI64ShrU      opcode = 0x88
	opI64ExtendU   opcode = 0xad
	opRefFunc      opcode = 0xd2

	opMemoryInit opcode = 0xfc<<16 | 8
	opDataDrop   opcode = 0xfc<<16 | 9
	opMemoryCopy opcode = 0xfc<<16 | 10
	opMemoryFill opcode = 0xfc<<16 | 11
	opTableInit  opcode = 0xfc<<16 | 12
	opElemDrop   opcode = 0xfc<<16 | 13
	opTableCopy  opcode = 0xfc<<16 | 14
	opTableGrow  opcode = 0xfc<<16 | 15
	opTableFill  opcode = 0xfc<<16 | 17
)

const voidBlock = 0x40 // the type of blocks without a result

// instruction is one of a function's body, or of a constant expression.
type instruction struct {
	op         opcode
	start, end int    // in the bytes read
	index      uint32 // the first of its indices: function, global, segment ...
}

// immediate is what follows an opcode.
type immediate byte

const (
	refused immediate = iota
	nothing
	blockType
	index
	twoIndices
	labels
	valueTypes
	memArg
	i32
	i64
	fourBytes
	eightBytes
	oneByte
	prefix
)

// immediates of the opcodes of one byte.
var immediates = func() (t [256]immediate) {
	set := func(kind immediate, from, to int) {
		for op := from; op <= to; op++ {
			t[op] = kind
		}
	}
	set(nothing, 0x00, 0x01) // unreachable, nop
	set(blockType, 0x02, 0x04)
	set(nothing, 0x05, 0x05)
	set(nothing, 0x0b, 0x0b)
	set(index, 0x0c, 0x0d) // br, br_if
	set(labels, 0x0e, 0x0e)
	set(nothing, 0x0f, 0x0f)
	set(index, 0x10, 0x10)
	set(twoIndices, 0x11, 0x11)
	set(index, 0x12, 0x12)
	set(twoIndices, 0x13, 0x13)
	set(nothing, 0x1a, 0x1b) // drop, select
	set(valueTypes, 0x1c, 0x1c)
	set(index, 0x20, 0x26) // locals, globals, table.get, table.set
	set(memArg, 0x28, 0x3e)
	set(oneByte, 0x3f, 0x40) // memory.size, memory.grow
	set(i32, 0x41, 0x41)
	set(i64, 0x42, 0x42)
	set(fourBytes, 0x43, 0x43)
	set(eightBytes, 0x44, 0x44)
	set(nothing, 0x45, 0xc4)
	set(oneByte, 0xd0, 0xd0) // ref.null
	set(nothing, 0xd1, 0xd1)
	set(index, 0xd2, 0xd2) // ref.func
	set(prefix, 0xfc, 0xfd)
	return t
}()

// whyRefused names families of instructions by an opcode of theirs.
func whyRefused(op byte) string {
	switch {
	case op >= 0x06 && op <= 0x0a || op == 0x18 || op == 0x19 || op == 0x1f:
		return "exceptions"
	case op == 0x14 || op == 0x15 || op >= 0xd3 && op <= 0xd6:
		return "typed function references"
	case op == 0xfb:
		return "garbage-collected types"
	case op == 0xfe:
		return "threads and atomics"
	}
	return "unknown"
}

// instruction decodes the next one.
func (r *reader) instruction() instruction {
	start := r.at
	op := r.byte()
	i := instruction{op: opcode(op), start: start}
	switch immediates[op] {
	case nothing:
	case refused:
		r.failf("instruction 0x%02x is not supported (%s)", op, whyRefused(op))
	case prefix:
		r.prefixed(&i, op)
	default:
		i.index = r.immediate(immediates[op])
		r.check(i)
	}
	i.end = r.at
	return i
}

// check refuses indices that the module does not have: in the rewritten module they would be of what is added to it, the
// fuel among them.
func (r *reader) check(i instruction) {
	have := len(r.of.types)
	switch i.op {
	case opCall, opReturnCall, opRefFunc:
		have = int(r.of.importedOf[Function]) + len(r.of.functions)
	case opGlobalGet, opGlobalSet:
		have = int(r.of.importedOf[GlobalKind]) + len(r.of.globals)
	case opCallIndirect, opReturnCallIn:
	default:
		return
	}
	if int64(i.index) >= int64(have) && r.err == nil {
		r.failf("instruction 0x%02x names the function, global or type %d, which is not there", i.op, i.index)
	}
}

// immediate reads what follows an opcode, and returns the index that it begins with, if it does.
func (r *reader) immediate(kind immediate) (first uint32) {
	switch kind {
	case index:
		return r.u32()
	case twoIndices:
		first = r.u32()
		r.u32()
		return first
	case blockType:
		r.blockType()
	case labels:
		for range r.count(1) {
			r.u32()
		}
		r.u32()
	case valueTypes:
		for range r.count(1) {
			r.valueType()
		}
	case memArg:
		if r.u32() >= 0x40 {
			r.failf("several memories are not supported")
		}
		r.u32()
	case i32:
		r.s64(5)
	case i64:
		r.s64(10)
	case fourBytes:
		r.bytes(4)
	case eightBytes:
		r.bytes(8)
	case oneByte:
		r.byte()
	}
	return 0
}

func (r *reader) blockType() {
	if r.at < len(r.in) && r.in[r.at]&0xc0 == 0x40 { // a negative number of one byte
		if r.in[r.at] == voidBlock {
			r.at++
			return
		}
		r.valueType()
		return
	}
	if t := r.s64(5); t < 0 || t >= int64(len(r.of.types)) {
		r.failf("a block's type is not supported, or not there")
	}
}

// valueType reads a type that values can have.
func (r *reader) valueType() byte {
	t := r.byte()
	switch t {
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f:
		return t
	}
	r.failf("value type 0x%02x is not supported", t)
	return t
}

// prefixed decodes what follows 0xfc and 0xfd.
func (r *reader) prefixed(i *instruction, op byte) {
	sub := r.u32()
	i.op = opcode(op)<<16 | opcode(sub&0xffff)
	kind := refused
	if op == 0xfc {
		kind = bulkImmediate(sub)
	} else {
		kind = vectorImmediate(sub)
	}
	switch {
	case kind == refused:
		r.failf("instruction 0x%02x %d is not supported", op, sub)
	case op == 0xfd && sub >= 84 && sub <= 91: // loads and stores of lanes
		r.immediate(memArg)
		r.byte()
	case op == 0xfd && (sub == 12 || sub == 13): // a constant, or the lanes of a shuffle
		r.bytes(16)
	default:
		i.index = r.immediate(kind)
	}
}

func bulkImmediate(sub uint32) immediate {
	switch sub {
	case 0, 1, 2, 3, 4, 5, 6, 7: // truncations that saturate
		return nothing
	case 9, 11, 13, 15, 16, 17:
		return index
	case 8, 10, 12, 14:
		return twoIndices
	}
	return refused
}

func vectorImmediate(sub uint32) immediate {
	switch {
	case sub <= 11, sub == 92, sub == 93:
		return memArg
	case sub >= 21 && sub <= 34:
		return oneByte
	case sub <= 255 && !noVector[sub]:
		return nothing
	}
	return refused
}

// noVector are numbers of no instruction.
var noVector = map[uint32]bool{154: true, 162: true, 165: true, 166: true, 175: true, 176: true, 178: true, 179: true, 180: true, 187: true,
	194: true, 197: true, 198: true, 207: true, 208: true, 210: true, 211: true, 212: true, 226: true, 238: true}
