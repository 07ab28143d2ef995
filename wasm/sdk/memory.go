package sdk

// view is a part of the guest's memory that goes by a number. The memory of a call never shrinks, so it stays where it is.
type view struct {
	at, size uint32
	closable bool
}

// queue is a fifo: bytes in their order.
type queue struct {
	bytes    []byte
	from     int // what is before it was taken
	closable bool
}

// queueLenMax bounds one queue, in bytes.
const queueLenMax = 1 << 20

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// memory are views of memory and queues.
func (l *functions) memory() {
	l.add("memoryViewNew", "iiii", ErrViewNotFound, func(g guest) Errno {
		if g.u32(2) > 1 {
			return ErrInvalidBool
		}
		if _, ok := g.Memory().Read(g.u32(0), g.u32(1)); !ok {
			return ErrMemory
		}
		if len(g.views) >= handlesMax {
			return ErrViewNotFound
		}
		if g.views == nil {
			g.views = map[uint32]view{}
		}
		id := g.id()
		g.views[id] = view{g.u32(0), g.u32(1), g.u32(2) == 1}
		return g.put32(3, id)
	})
	l.add("memoryViewOpen", "iii", ErrViewNotFound, func(g guest) Errno {
		v, is := g.views[g.u32(0)]
		if !is {
			return ErrViewNotFound
		}
		if e := g.put32(2, v.size); e != OK {
			return e
		}
		return g.put32(1, flag(v.closable))
	})
	l.add("memoryViewRead", "iiiii", ErrViewNotFound, guest.readView)
	l.silent("memoryViewClose", "i", func(g guest) { delete(g.views, g.u32(0)) })
	l.add("fifoNew", "i", 0, guest.newQueue)
	l.add("fifoPush", "ii", ErrFifoNotFound, guest.push)
	l.add("fifoPop", "ii", ErrFifoNotFound, guest.pop)
	l.add("fifoIsCloser", "ii", ErrFifoNotFound, func(g guest) Errno {
		q, is := g.queues[g.u32(0)]
		if !is {
			return ErrFifoNotFound
		}
		return g.put32(1, flag(q.closable))
	})
	l.silent("fifoClose", "i", func(g guest) {
		if q, is := g.queues[g.u32(0)]; is {
			g.release(len(q.bytes))
			delete(g.queues, g.u32(0))
		}
	})
}

// readView copies a part of a view: id, offset, how much at most, where to, where to say how much.
func (g guest) readView() Errno {
	v, is := g.views[g.u32(0)]
	offset := g.u32(1)
	switch {
	case !is:
		return ErrViewNotFound
	case offset >= v.size:
		return ErrMemory
	}
	count := min(g.u32(2), v.size-offset)
	from, ok := g.Memory().Read(v.at+offset, count)
	to, also := g.Memory().Read(g.u32(3), count)
	if !ok || !also {
		return ErrMemory
	}
	g.Pay(uint64(count))
	copy(to, from) // they may overlap
	return g.put32(4, count)
}

// push appends a byte.
func (g guest) push() Errno {
	q, is := g.queues[g.u32(0)]
	if !is {
		return ErrFifoNotFound
	}
	if len(q.bytes) >= queueLenMax && q.from > queueLenMax/2 {
		g.release(q.from)
		q.bytes, q.from = append(q.bytes[:0], q.bytes[q.from:]...), 0
	}
	if len(q.bytes) >= queueLenMax || !g.hold(1) {
		return ErrBufferTooSmall
	}
	q.bytes = append(q.bytes, byte(g.u32(1)))
	return OK
}

// pop takes one, if the guest has a place for it.
func (g guest) pop() Errno {
	q, is := g.queues[g.u32(0)]
	switch {
	case !is:
		return ErrFifoNotFound
	case q.from == len(q.bytes):
		return ErrEOF
	case !g.Memory().WriteByte(g.u32(1), q.bytes[q.from]):
		return ErrMemory
	}
	if q.from++; q.from == len(q.bytes) {
		g.release(len(q.bytes))
		q.bytes, q.from = q.bytes[:0], 0
	}
	return OK
}

// newQueue returns the number of a new queue, in place of an error: 0 if there are too many.
func (g guest) newQueue() uint32 {
	if len(g.queues) >= handlesMax {
		return 0
	}
	if g.queues == nil {
		g.queues = map[uint32]*queue{}
	}
	id := g.id()
	g.queues[id] = &queue{closable: g.u32(0) == 1}
	return id
}
