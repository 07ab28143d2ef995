// Package wasi is wasi_snapshot_preview1 without state: what a guest sees of outside is a World, which its host makes for one
// call. There are three descriptors, which cannot be closed, no files, no sockets and no other processes; clocks and random
// numbers come from the World, so that equal worlds give equal runs.
//
// Guests' pointers and lengths are never trusted. What an operation moves is paid for (World.Payer), and bounded by the memory
// of the guest and by what the World's writers take.
package wasi

import (
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// Module is the name under which guests import the functions.
const Module = "wasi_snapshot_preview1"

// World is what a guest sees of outside. Fields that are nil: no input, output that is thrown away, clocks that stand at
// the Unix epoch, random numbers that are 0, sleep that only moves the clocks.
type World struct {
	Args, Env []string // Env as NAME=VALUE
	Stdin     io.Reader
	Stdout    io.Writer // an error of it becomes EIO; to end the call it panics
	Stderr    io.Writer
	Now       func() time.Time
	Elapsed   func() time.Duration
	Rand      io.Reader
	Sleep     func(time.Duration) // until then, or earlier
	Payer     Payer               // for what is moved
	slept     time.Duration       // without Sleep
}

// Payer pays for bytes that were moved. It may panic.
type Payer interface{ Pay(bytes uint64) }

// Errno is a result of the functions.
type Errno uint32

// Those that are used; the numbers are the interface's.
const (
	success Errno = 0
	badf    Errno = 8
	fault   Errno = 21
	inval   Errno = 28
	io_     Errno = 29
	nosys   Errno = 52
	spipe   Errno = 70
)

// Function is one of the interface.
type Function struct {
	Name    string
	Params  []api.ValueType
	Results []api.ValueType
	// Call takes its parameters from the stack and leaves its result there. The upper halves of parameters of 32 bits are
	// undefined.
	Call func(w *World, m api.Memory, stack []uint64)
}

// operation is a function with an Errno as its only result.
type operation func(w *World, m guest, p params) Errno

type params []uint64

func (p params) u32(i int) uint32 { return uint32(p[i]) }

// guest is the memory of a guest. Offsets are its own, and may be anything.
type guest struct{ api.Memory }

func (g guest) put32(at, v uint32) Errno {
	if !g.WriteUint32Le(at, v) {
		return fault
	}
	return success
}

func (g guest) put64(at uint32, v uint64) Errno {
	if !g.WriteUint64Le(at, v) {
		return fault
	}
	return success
}

func first(results ...Errno) Errno {
	for _, e := range results {
		if e != success {
			return e
		}
	}
	return success
}

// Functions lists the whole interface. What needs files or sockets answers that the descriptor is none.
func Functions() []Function {
	const i, l = api.ValueTypeI32, api.ValueTypeI64
	list := []Function{
		op("args_get", argsGet, i, i), op("args_sizes_get", argsSizesGet, i, i),
		op("environ_get", environGet, i, i), op("environ_sizes_get", environSizesGet, i, i),
		op("clock_res_get", clockResGet, i, i), op("clock_time_get", clockTimeGet, i, l, i),
		op("fd_write", fdWrite, i, i, i, i), op("fd_read", fdRead, i, i, i, i),
		op("fd_close", onDescriptor(success), i), op("fd_fdstat_get", fdstatGet, i, i), op("fd_filestat_get", filestatGet, i, i),
		op("fd_fdstat_set_flags", onDescriptor(success), i, i), op("fd_fdstat_set_rights", onDescriptor(success), i, l, l),
		op("fd_sync", onDescriptor(success), i), op("fd_datasync", onDescriptor(success), i),
		op("fd_seek", onDescriptor(spipe), i, l, i, i), op("fd_tell", onDescriptor(spipe), i, i), op("fd_advise", onDescriptor(spipe), i, l, l, i),
		op("fd_allocate", onDescriptor(spipe), i, l, l), op("fd_filestat_set_size", onDescriptor(inval), i, l),
		op("fd_filestat_set_times", onDescriptor(inval), i, l, l, i), op("fd_pread", onDescriptor(spipe), i, i, i, l, i),
		op("fd_pwrite", onDescriptor(spipe), i, i, i, l, i), op("fd_renumber", onDescriptor(nosys), i, i),
		op("fd_prestat_get", always(badf), i, i), op("fd_prestat_dir_name", always(badf), i, i, i),
		op("fd_readdir", always(badf), i, i, i, l, i), op("poll_oneoff", pollOneoff, i, i, i, i),
		op("random_get", randomGet, i, i), op("sched_yield", always(success)), op("proc_raise", always(nosys), i),
		{"proc_exit", []api.ValueType{i}, nil, func(_ *World, _ api.Memory, stack []uint64) { panic(sys.NewExitError(uint32(stack[0]))) }},
	}
	for name, types := range map[string][]api.ValueType{
		"path_create_directory": {i, i, i}, "path_filestat_get": {i, i, i, i, i}, "path_filestat_set_times": {i, i, i, i, l, l, i},
		"path_link": {i, i, i, i, i, i, i}, "path_open": {i, i, i, i, i, l, l, i, i}, "path_readlink": {i, i, i, i, i, i}, "path_remove_directory": {i, i, i},
		"path_rename": {i, i, i, i, i, i}, "path_symlink": {i, i, i, i, i}, "path_unlink_file": {i, i, i},
		"sock_accept": {i, i, i}, "sock_recv": {i, i, i, i, i, i}, "sock_send": {i, i, i, i, i}, "sock_shutdown": {i, i},
	} {
		list = append(list, op(name, always(badf), types...))
	}
	return list
}

func op(name string, do operation, types ...api.ValueType) Function {
	return Function{name, types, []api.ValueType{api.ValueTypeI32}, func(w *World, m api.Memory, stack []uint64) {
		stack[0] = uint64(do(w, guest{m}, stack))
	}}
}

func always(e Errno) operation { return func(*World, guest, params) Errno { return e } }

// onDescriptor answers for the three that there are.
func onDescriptor(e Errno) operation {
	return func(_ *World, _ guest, p params) Errno {
		if p.u32(0) > 2 {
			return badf
		}
		return e
	}
}

func argsGet(w *World, m guest, p params) Errno         { return m.strings(w, w.Args, p) }
func argsSizesGet(w *World, m guest, p params) Errno    { return m.sizes(w.Args, p) }
func environGet(w *World, m guest, p params) Errno      { return m.strings(w, w.Env, p) }
func environSizesGet(w *World, m guest, p params) Errno { return m.sizes(w.Env, p) }

func (g guest) sizes(list []string, p params) Errno {
	total := 0
	for _, s := range list {
		total += len(s) + 1
	}
	return first(g.put32(p.u32(0), uint32(len(list))), g.put32(p.u32(1), uint32(total)))
}

// strings puts the places of strings to where the first parameter points, and the strings to where the second does.
func (g guest) strings(w *World, list []string, p params) Errno {
	at := p.u32(1)
	for i, s := range list {
		if e := g.put32(p.u32(0)+uint32(i)*4, at); e != success {
			return e
		}
		if !g.WriteString(at, s) || !g.WriteByte(at+uint32(len(s)), 0) {
			return fault
		}
		w.pay(uint64(len(s)))
		at += uint32(len(s)) + 1
	}
	return success
}

func (w *World) pay(bytes uint64) {
	if w.Payer != nil {
		w.Payer.Pay(bytes)
	}
}

// chunks calls do with the parts of memory that a list of (pointer, length) names, until it says to stop.
func (g guest) chunks(at, count uint32, do func(part []byte) (more bool)) Errno {
	for i := uint32(0); i < count; i++ {
		entry, ok := g.Read(at+i*8, 8)
		if !ok || uint64(at)+uint64(i)*8 > 1<<32 {
			return fault
		}
		part, ok := g.Read(binary.LittleEndian.Uint32(entry), binary.LittleEndian.Uint32(entry[4:]))
		if !ok {
			return fault
		}
		if !do(part) {
			break
		}
	}
	return success
}

func fdWrite(w *World, m guest, p params) Errno {
	out := io.Discard
	switch fd := p.u32(0); {
	case fd == 0 || fd > 2:
		return badf
	case fd == 1 && w.Stdout != nil:
		out = w.Stdout
	case fd == 2 && w.Stderr != nil:
		out = w.Stderr
	}
	written, result := 0, success
	e := m.chunks(p.u32(1), p.u32(2), func(part []byte) bool {
		w.pay(uint64(len(part)) + 8)
		n, err := out.Write(part)
		if written += n; err != nil {
			result = io_
		}
		return err == nil
	})
	return first(e, result, m.put32(p.u32(3), uint32(written)))
}

func fdRead(w *World, m guest, p params) Errno {
	if p.u32(0) != 0 {
		return badf
	}
	read, result := 0, success
	e := m.chunks(p.u32(1), p.u32(2), func(part []byte) bool {
		w.pay(8)
		if len(part) == 0 || w.Stdin == nil {
			return w.Stdin != nil
		}
		n, err := w.Stdin.Read(part)
		w.pay(uint64(n))
		if read += n; err != nil && !errors.Is(err, io.EOF) {
			result = io_
		}
		return err == nil && n == len(part)
	})
	return first(e, result, m.put32(p.u32(3), uint32(read)))
}

// fdstatGet says that descriptors are character devices with all rights: that is what terminals and pipes look like.
func fdstatGet(_ *World, m guest, p params) Errno {
	if p.u32(0) > 2 {
		return badf
	}
	stat, ok := m.Read(p.u32(1), 24)
	if !ok {
		return fault
	}
	clear(stat)
	stat[0] = 2
	binary.LittleEndian.PutUint64(stat[8:], 1<<1|1<<6) // fd_read, fd_write: no seek, or libraries would
	return success
}

func filestatGet(_ *World, m guest, p params) Errno {
	if p.u32(0) > 2 {
		return badf
	}
	stat, ok := m.Read(p.u32(1), 64)
	if !ok {
		return fault
	}
	clear(stat)
	stat[16] = 2
	return success
}

func randomGet(w *World, m guest, p params) Errno {
	part, ok := m.Read(p.u32(0), p.u32(1))
	if !ok {
		return fault
	}
	w.pay(8 * uint64(len(part)))
	clear(part)
	if w.Rand != nil {
		if _, err := io.ReadFull(w.Rand, part); err != nil {
			return io_
		}
	}
	return success
}
