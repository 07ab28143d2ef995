package js

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/taucloud/tau/wasm/engine"
	"github.com/taucloud/tau/wasm/outbound"
	"github.com/tetratelabs/wazero/api"
)

// function is one that the runtime calls. It returns a value, 0 for undefined.
type function struct {
	name string
	args int
	call func(i interpreter, x *Exchange, args []uint32) uint32
}

// functions are all that a bundle can reach of the host, by way of the runtime.
var functions = []function{
	{"log", 1, func(i interpreter, _ *Exchange, args []uint32) uint32 {
		i.log(i.string(args[0], textMax))
		return 0
	}},
	{"encode", 1, func(i interpreter, _ *Exchange, args []uint32) (v uint32) {
		i.utf8(args[0], func(text []byte) { v = i.buffer(text) })
		return v
	}},
	{"decode", 5, func(i interpreter, _ *Exchange, args []uint32) uint32 {
		bytes := i.view(args[0], i.number(args[1]), i.number(args[2]))
		if i.number(args[3]) != 0 && !utf8.Valid(bytes) {
			return i.must("qjs_get_null")
		}
		return i.text(decoded(bytes, i.number(args[4]) != 0))
	}},
	{"draw", 1, func(i interpreter, _ *Exchange, args []uint32) uint32 {
		const count = 64
		bytes := i.view(args[0], 0, 8*count)
		for n := range count {
			binary.LittleEndian.PutUint64(bytes[8*n:], math.Float64bits(float64(i.Random()>>11)/(1<<53)))
		}
		return 0
	}},
	{"random", 3, func(i interpreter, _ *Exchange, args []uint32) uint32 {
		bytes := i.view(args[0], i.number(args[1]), i.number(args[2]))
		clear(bytes)
		if i.World.Rand != nil {
			if _, err := io.ReadFull(i.World.Rand, bytes); err != nil {
				i.Stop(err)
			}
		}
		return 0
	}},
	{"field", 2, func(i interpreter, _ *Exchange, args []uint32) uint32 {
		name, value := i.string(args[0], textMax), i.string(args[1], textMax)
		if !takes(name, value) {
			name = ""
		}
		return i.text(strings.ToLower(name))
	}},
	{"fields", 3, func(i interpreter, _ *Exchange, args []uint32) uint32 {
		return i.text(fieldsAs(i.string(args[0], fieldsLenMax), i.number(args[1]), i.string(args[2], textMax)))
	}},
	{"headers", 0, func(i interpreter, x *Exchange, _ []uint32) uint32 { return i.text(x.fields()) }},
	{"header", 1, func(i interpreter, x *Exchange, args []uint32) uint32 {
		name := i.string(args[0], textMax)
		if len(name) == textMax || !isField(name) {
			return 0
		}
		name = http.CanonicalHeaderKey(name)
		values, is := x.Header[name]
		if !is {
			return i.must("qjs_get_null")
		}
		return i.text(strings.ReplaceAll(joined(name, values), "\x00", ""))
	}},
	{"url", 1, func(i interpreter, _ *Exchange, args []uint32) uint32 {
		text, base := i.string(args[0], urlMax+1), ""
		if len(args) == 2 {
			base = i.string(args[1], urlMax+1)
		}
		i.Pay(costOf(text, base))
		return i.parsed(parseURL(text, base, len(args) == 2))
	}},
	{"line", 2, func(i interpreter, _ *Exchange, args []uint32) uint32 {
		var line string
		i.utf8(args[0], func(text []byte) {
			for n := i.number(args[1]); n > 0 && len(text) > 0; n-- {
				_, text, _ = bytes.Cut(text, []byte("\n"))
			}
			first, _, _ := bytes.Cut(text, []byte("\n"))
			line = string(first)
		})
		return i.text(line)
	}},
	{"setURL", 3, func(i interpreter, _ *Exchange, args []uint32) uint32 {
		href, field, value := i.string(args[0], urlMax+1), i.string(args[1], textMax), i.string(args[2], urlMax+1)
		i.Pay(costOf(href, value))
		return i.parsed(setURL(href, field, value))
	}},
	{"read", 0, func(i interpreter, x *Exchange, _ []uint32) uint32 {
		if x.Body == nil {
			return i.must("qjs_get_null")
		}
		part := make([]byte, partLen)
		n, err := io.ReadAtLeast(x.Body, part, 1)
		switch {
		case n > 0:
			return i.buffer(part[:n])
		case err != nil && err != io.EOF:
			i.Stop(err)
		}
		return i.must("qjs_get_null")
	}},
	{"head", 2, func(i interpreter, x *Exchange, args []uint32) uint32 { i.head(x, args); return 0 }},
	{"answerText", 3, func(i interpreter, x *Exchange, args []uint32) uint32 {
		i.head(x, args)
		i.utf8(args[2], func(text []byte) { i.write(x, text) })
		return 0
	}},
	{"write", 3, func(i interpreter, x *Exchange, args []uint32) uint32 {
		i.write(x, i.view(args[0], i.number(args[1]), i.number(args[2])))
		return 0
	}},
	{"send", 6, func(i interpreter, x *Exchange, args []uint32) uint32 { return i.text(i.send(x, args)) }},
	{"fetched", 0, func(i interpreter, x *Exchange, _ []uint32) uint32 {
		body := x.fetched
		x.fetched = nil
		return i.buffer(body)
	}},
	{"failed", 1, func(i interpreter, x *Exchange, args []uint32) uint32 {
		x.failure = i.string(args[0], textMax)
		return 0
	}},
	{"hold", 0, func(_ interpreter, x *Exchange, _ []uint32) uint32 { x.held = true; return 0 }},
	{"done", 0, func(_ interpreter, x *Exchange, _ []uint32) uint32 { x.done = true; return 0 }},
	{"idle", 0, func(_ interpreter, x *Exchange, _ []uint32) uint32 { x.idle = true; return 0 }},
	{"wait", 1, func(i interpreter, _ *Exchange, args []uint32) uint32 {
		i.World.Wait(time.Duration(min(max(i.float(args[0]), 0), 3_600_000) * float64(time.Millisecond)))
		return 0
	}},
}

// byName finds them.
var byName = func() map[string]function {
	m := map[string]function{}
	for _, f := range functions {
		m[f.name] = f
	}
	return m
}()

// takes reports whether a header is taken as it is.
func takes(name, value string) bool {
	return len(name)+len(value) < textMax && isField(name) && strings.TrimSpace(value) == value && !strings.ContainsAny(value, "\r\n\x00")
}

// fieldsAs returns so many headers - names and values, each with a zero behind it - with names in lower case, and the type of the
// body, if it has one and they do not say; or "" if one of them is not taken as it is.
func fieldsAs(text string, count uint32, typ string) string {
	parts := strings.Split(text, "\x00")
	if uint64(len(parts)) != 2*uint64(count)+1 {
		return ""
	}
	for n := 0; n+1 < len(parts); n += 2 {
		if !takes(parts[n], parts[n+1]) {
			return ""
		}
		parts[n] = strings.ToLower(parts[n])
		if parts[n] == "content-type" {
			typ = ""
		}
	}
	if typ != "" {
		parts = append(parts[:len(parts)-1], "content-type", typ, "")
	}
	return strings.Join(parts, "\x00")
}

// isField reports whether it is the name of a header.
func isField(name string) bool {
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return name != ""
}

// decoded is UTF-8 as a string; a mark at the beginning is none of its characters.
func decoded(bytes []byte, keepMark bool) string {
	text := strings.ToValidUTF8(string(bytes), "\uFFFD")
	if !keepMark {
		text = strings.TrimPrefix(text, "\uFEFF")
	}
	return text
}

func (i interpreter) float(v uint32) float64 {
	bits, err := i.Invoke("qjs_get_float64", uint64(v))
	if err != nil {
		i.Stop(err)
	}
	return math.Float64frombits(bits)
}

// number is one that is a length or a position.
func (i interpreter) number(v uint32) uint32 {
	f := i.float(v)
	if !(f >= 0 && f <= math.MaxUint32) {
		i.Stop(engine.ErrPointer)
	}
	return uint32(f)
}

// parsed is what a URL consists of, or null. Parsing one costs the guest what it would cost to do it itself.
func (i interpreter) parsed(parts []string) uint32 {
	const perByte = 64 * 16 // bytes that are moved, in price
	if len(parts) > 0 {
		i.Pay(perByte * uint64(len(parts[0])))
	}
	if parts == nil {
		return i.must("qjs_get_null")
	}
	return i.text(strings.Join(parts, "\n"))
}

const (
	// partLen is how much of a body is read or written at once, in bytes.
	partLen = 32 << 10
	// fieldsLenMax bounds the fields of a message, all together.
	fieldsLenMax = 1 << 20
)

// head begins the answer.
func (i interpreter) head(x *Exchange, args []uint32) {
	if x.answered || x.Head == nil { // there is none while the bundle is loaded
		i.Stop(errForeign)
	}
	x.answered = true
	parts := strings.Split(i.string(args[1], fieldsLenMax), "\x00")
	var fields [][2]string
	for n := 0; n+1 < len(parts); n += 2 {
		i.Output(len(parts[n]) + len(parts[n+1]))
		fields = append(fields, [2]string{parts[n], parts[n+1]})
	}
	if err := x.Head(int(i.number(args[0])), fields); err != nil {
		i.Stop(err)
	}
}

// send sends a request to another host. It returns the status and names and values of the response's fields, each with a zero behind it, or !
// and why there is none.
func (i interpreter) send(x *Exchange, args []uint32) string {
	if x.Send == nil {
		return "!there is no way out here"
	}
	r := outbound.Request{Method: i.string(args[0], textMax), URL: i.string(args[1], urlMax), Header: http.Header{}}
	parts := strings.Split(i.string(args[2], fieldsLenMax), "\x00")
	for n := 0; n+1 < len(parts); n += 2 {
		r.Header.Add(parts[n], parts[n+1])
	}
	r.Body = bytes.Clone(i.view(args[3], i.number(args[4]), i.number(args[5])))
	response, err := x.Send(i.Call, r)
	if err != nil {
		return "!" + strings.TrimPrefix(err.Error(), "outbound: ")
	}
	var b strings.Builder
	b.WriteString(strconv.Itoa(response.Status) + "\x00")
	for _, name := range slices.Sorted(maps.Keys(response.Header)) {
		for _, value := range response.Header[name] {
			b.WriteString(strings.ToLower(name) + "\x00" + strings.ReplaceAll(value, "\x00", "") + "\x00")
		}
	}
	x.fetched = response.Body
	return b.String()
}

// write takes a part of the body of the answer, which is in the guest's memory: whoever takes it may let others run meanwhile, but not this guest.
func (i interpreter) write(x *Exchange, part []byte) {
	if x.Write == nil {
		i.Stop(errForeign)
	}
	for len(part) > 0 {
		n := min(len(part), partLen)
		i.Output(n)
		x.Write(part[:n])
		part = part[n:]
	}
}

// errForeign ends a module that imports what is for the interpreter.
var errForeign = errors.New("js: this function of the host is for JavaScript alone")

// of is the interpreter of a call.
func of(c *engine.Call) (interpreter, *Exchange) {
	asked, is := c.Request.Value.(Asked)
	if !is {
		c.Stop(errForeign)
	}
	x := asked.JavaScript()
	if x == nil || x.program == nil {
		c.Stop(errForeign)
	}
	return interpreter{c, x.program}, x
}

// Hosts are the functions that the interpreter imports.
func Hosts() []engine.Host {
	const i32 = api.ValueTypeI32
	list := func(n int) (l []api.ValueType) {
		for range n {
			l = append(l, i32)
		}
		return l
	}
	return []engine.Host{{Module: "env", Functions: []engine.HostFunction{
		{Name: "host_call", Params: list(5), Results: list(1), Call: hostCall},
		{Name: "host_promise_rejection", Params: list(3), Call: promiseRejection},
		// Local time is that of Greenwich.
		{Name: "host_get_timezone_offset", Params: list(2), Results: list(1), Call: func(_ *engine.Call, stack []uint64) { stack[0] = 0 }},
		{Name: "host_interrupt", Results: list(1), Call: func(_ *engine.Call, stack []uint64) { stack[0] = 0 }},
		// A bundle is whole: nothing is loaded beside it. The interpreter makes an error of that.
		{Name: "host_module_normalize", Params: list(2), Results: list(1), Call: func(_ *engine.Call, stack []uint64) { stack[0] = 0 }},
		{Name: "host_module_load", Params: list(2), Results: list(1), Call: func(_ *engine.Call, stack []uint64) { stack[0] = 0 }},
	}}}
}

// hostCall takes the name of a function (pointer, length), this, how many arguments, pointers to them; it returns a pointer to the result.
func hostCall(c *engine.Call, stack []uint64) {
	i, x := of(c)
	const nameMax, argsMax = 16, 6
	name, ok := c.Memory().Read(uint32(stack[0]), min(uint32(stack[1]), nameMax))
	f, known := byName[string(name)]
	count := min(uint32(stack[3]), argsMax)
	if !ok || !known || int(count) < f.args {
		c.Stop(errForeign)
	}
	var args [argsMax]uint32
	for n := range count {
		args[n], _ = c.Memory().ReadUint32Le(uint32(stack[4]) + 4*n)
	}
	v := f.call(i, x, args[:count])
	if v == 0 {
		v = i.must("qjs_get_undefined")
	}
	stack[0] = uint64(v)
}

// promiseRejection takes a promise, why it was rejected, and whether somebody has asked for it after all.
func promiseRejection(c *engine.Call, stack []uint64) {
	i, x := of(c)
	promise, handled := uint32(stack[0]), uint32(stack[2]) != 0
	x.ask(i.object(promise), i)
	if !handled && len(x.rejected) < rejectedMax {
		x.rejected = append(x.rejected, rejection{promise, uint32(stack[1])})
	}
}
