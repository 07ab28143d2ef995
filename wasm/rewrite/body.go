package rewrite

// body is one function while it is rewritten. Its slices are used again for the next.
type body struct {
	code     []byte // declarations of locals, and instructions
	declared int    // where the instructions begin
	locals   uint32 // with parameters: the index of the first local that is free
	all      []instruction
	cost     []uint32 // cost[i] is paid before instruction i: that of the basic block which it begins
	head     []bool   // instruction i is the first of a loop's body
	bulk     bool     // a local is needed for lengths
}

// read decodes the body of a function and finds its basic blocks.
func (b *body) read(m *module, code []byte, params int) error {
	r := &reader{in: code, of: m}
	b.code, b.bulk = code, false
	b.locals = uint32(params + r.locals())
	b.declared = r.at
	b.all = b.all[:0]
	depth := 1
	for r.err == nil && depth > 0 {
		i := r.instruction()
		switch i.op {
		case opBlock, opLoop, opIf:
			if depth++; depth > nestingMax {
				r.failf("blocks are nested more than %d deep", nestingMax)
			}
		case opEnd:
			depth--
		}
		b.bulk = b.bulk || bulkShift(i.op) > 0
		b.all = append(b.all, i)
	}
	if r.err == nil && r.more() {
		r.failf("a function has something behind its end")
	}
	b.price()
	return r.err
}

// price adds up the instructions of each basic block. What follows a jump can't be reached before the next end or else, and
// has no price.
func (b *body) price() {
	b.cost = append(b.cost[:0], make([]uint32, len(b.all)+1)...)
	b.head = append(b.head[:0], make([]bool, len(b.all)+1)...)
	unreachable := len(b.all) // a place that is never paid at
	block := 0
	for k, i := range b.all {
		switch i.op {
		case opNop, opBlock, opLoop, opElse, opEnd: // no code is made of these
		default:
			b.cost[block]++
		}
		switch i.op {
		case opLoop:
			block = k + 1
			b.head[block] = true
		case opIf, opElse, opEnd, opBrIf:
			block = k + 1
		case opBr, opBrTable, opReturn, opReturnCall, opReturnCallIn, opUnreachable:
			block = unreachable
		}
	}
	b.cost[0] = max(b.cost[0], 1) // so that a function which does nothing costs something to call
}

// bulkShift tells how dear an operation on many bytes or elements is: its length is shifted by one less than that. 0: it is none.
func bulkShift(op opcode) byte {
	switch op {
	case opMemoryInit, opMemoryCopy, opMemoryFill:
		return 5 // 16 bytes are a unit
	case opTableInit, opTableCopy, opTableGrow, opTableFill:
		return 2 // 16 bytes are two elements
	}
	return 0
}

// whatRemains tells why state that an instruction changes is neither memory nor a global. Empty: it changes none.
func whatRemains(op opcode) string {
	switch op {
	case opTableSet, opTableGrow, opTableInit, opTableCopy, opTableFill:
		return "it changes its tables"
	case opElemDrop, opDataDrop:
		return "it drops segments"
	}
	return ""
}

// bodyWriter writes instrumented bodies.
type bodyWriter struct {
	body
	out         []byte
	fuel        uint32 // indices in the rewritten module
	depth       uint32
	refuel      uint32 // functions from here on are further, by added
	added       uint32
	recursion   bool // of this function, frames are counted
	weight      int64
	depthMax    uint32
	resultBlock int64 // the type of a block with the results of this function
}

func (w *bodyWriter) op(op opcode, index uint32) { w.out = appendU(append(w.out, byte(op)), index) }
func (w *bodyWriter) ops(ops ...opcode) {
	for _, op := range ops {
		w.out = append(w.out, byte(op))
	}
}
func (w *bodyWriter) i32(v int64) { w.out = appendS(append(w.out, byte(opI32Const)), v) }
func (w *bodyWriter) i64(v int64) { w.out = appendS(append(w.out, byte(opI64Const)), v) }

// write appends the function that was read, without its length, to out.
func (w *bodyWriter) write() {
	w.declarations()
	if w.recursion {
		w.enter()
	}
	w.pay(w.cost[0])
	w.test()
	from, nesting := w.declared, 0
	copyUntil := func(at int) { w.out = append(w.out, w.code[from:at]...); from = at }
	for k := range w.all {
		i := &w.all[k]
		switch i.op {
		case opBlock, opLoop, opIf:
			nesting++
		case opEnd:
			if nesting == 0 && w.recursion {
				copyUntil(i.start)
				w.ops(opEnd) // of the block that enter began
				w.leave()
			}
			nesting--
		case opReturn:
			if w.recursion { // to the end of that block
				copyUntil(i.start)
				w.op(opBr, uint32(nesting))
				from = i.end
			}
		case opReturnCall, opReturnCallIn:
			if w.recursion {
				copyUntil(i.start)
				w.leave()
			}
		}
		switch i.op {
		case opCall, opReturnCall, opRefFunc:
			if i.index >= w.refuel {
				copyUntil(i.start)
				w.op(i.op, i.index+w.added)
				from = i.end
			}
		}
		if shift := bulkShift(i.op); shift > 0 {
			copyUntil(i.start)
			w.payLength(shift - 1)
		}
		if cost := w.cost[k+1]; k+1 < len(w.all) && (cost > 0 || w.head[k+1]) {
			copyUntil(i.end)
			if w.head[k+1] {
				w.pay(max(cost, 1))
				w.test()
			} else {
				w.pay(cost)
			}
		}
	}
	copyUntil(len(w.code))
}

// declarations writes the locals, with one more for lengths if needed.
func (w *bodyWriter) declarations() {
	if !w.bulk {
		w.out = append(w.out, w.code[:w.declared]...)
		return
	}
	r := &reader{in: w.code}
	groups := r.u32()
	w.out = appendU(w.out, groups+1)
	w.out = append(w.out, w.code[r.at:w.declared]...)
	w.out = append(w.out, 1, 0x7f)
}

// pay subtracts a constant from the fuel.
func (w *bodyWriter) pay(cost uint32) {
	w.op(opGlobalGet, w.fuel)
	w.i64(int64(cost))
	w.ops(opI64Sub)
	w.op(opGlobalSet, w.fuel)
}

// test calls the host if there is no fuel.
func (w *bodyWriter) test() {
	w.op(opGlobalGet, w.fuel)
	w.i64(0)
	w.ops(opI64LtS, opIf, voidBlock)
	w.op(opCall, w.refuel)
	w.ops(opEnd)
}

// payLength pays for the length that is on top of the stack, and leaves it there.
func (w *bodyWriter) payLength(shift byte) {
	w.op(opLocalTee, w.locals)
	w.op(opGlobalGet, w.fuel)
	w.op(opLocalGet, w.locals)
	w.ops(opI64ExtendU)
	w.i64(int64(shift))
	w.ops(opI64ShrU, opI64Sub)
	w.op(opGlobalSet, w.fuel)
	w.test()
}

// enter counts a frame, traps if there are too many, and begins the block at whose end the frame is gone.
func (w *bodyWriter) enter() {
	w.count(opI32Add)
	w.op(opGlobalGet, w.depth)
	w.i32(int64(int32(w.depthMax)))
	w.ops(opI32GtU, opIf, voidBlock, opUnreachable, opEnd, opBlock)
	w.out = appendS(w.out, w.resultBlock)
}

func (w *bodyWriter) leave() { w.count(opI32Sub) }

func (w *bodyWriter) count(op opcode) {
	w.op(opGlobalGet, w.depth)
	w.i32(w.weight)
	w.ops(op)
	w.op(opGlobalSet, w.depth)
}
