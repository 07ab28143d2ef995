package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/taucloud/tau/wasm/wasi"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// Limits of one call.
type Limits struct {
	Fuel         uint64        // units: instructions that were carried out, 16 bytes of what was moved
	Slice        uint64        // units until deadlines are looked at again, and the collector of the host gets its turn
	Wall         time.Duration // by Options.Elapsed; 0: none. In simulated time no call takes any
	OutputMax    int64         // bytes of the response
	LogMax       int64         // bytes of standard error; what is more is left out
	HostCallsMax int
}

// DefaultLimits are some seconds of work.
func DefaultLimits() Limits {
	return Limits{Fuel: 10_000_000_000, Slice: 1_000_000, Wall: 30 * time.Second, OutputMax: 32 << 20, LogMax: 1 << 20, HostCallsMax: 1_000_000}
}

// What a call is stopped for. A Trap is what a guest does to itself.
var (
	ErrFuel      = errors.New("engine: the call has used up its fuel")
	ErrWall      = errors.New("engine: the call has taken too long")
	ErrOutput    = errors.New("engine: the response is too long")
	ErrHostCalls = errors.New("engine: the call has called its host too often")
	ErrRecursion = errors.New("engine: the call has recursed too deep")
	ErrPointer   = errors.New("engine: the guest gave its host a pointer to where it has no memory")
)

// Trap is an end that a guest has come to by its own instructions: it divided by zero, was out of its memory or aborted.
type Trap struct{ Text string }

func (t *Trap) Error() string { return "engine: the guest trapped: " + t.Text }

// Request is one call.
type Request struct {
	Entry string   // an exported function; empty: _start
	Args  []uint64 // of that function
	// Drive leads the call in place of an entry: it calls functions of the guest, by [Call.Invoke].
	Drive func(*Call) error
	// Argv and Env are what a command sees. Functions of a module that is no command were initialised with those of Setup.
	Argv, Env []string
	Stdin     io.Reader // nil: empty
	Stdout    io.Writer // nil: thrown away
	Stderr    io.Writer // nil: thrown away
	// Now, Elapsed and Rand are this call's, in place of those of Options.
	Now     func() time.Time
	Elapsed func() time.Duration
	Rand    io.Reader
	Value   any // for hosts; a Beginner is told
	// Sleep waits in place of that of Options. It may end the call.
	Sleep func(time.Duration)
}

// Beginner is a value of a request that wants to know its call.
type Beginner interface{ Begins(c *Call) }

// Response is how a call ended, if it was not stopped.
type Response struct {
	ExitCode uint32 // of a guest that exited; 0 if it returned
	Results  []uint64
}

// Usage is what a call has cost.
type Usage struct {
	Fuel       uint64
	HostCalls  int
	Output     int64
	Logged     int64 // with what was left out
	MemoryPeak uint64
	Pages      int  // of memory that had to be put back
	New        bool // the instance was made for it
}

// Call is a call on its way, as hosts see it. It is the context of all that is done for it.
type Call struct {
	context.Context
	Request *Request
	World   wasi.World

	instance *instance
	limits   Limits
	engine   *Engine
	rest     int64 // units not handed out yet
	begun    time.Duration
	usage    Usage
	stopped  error
	drawn    *rand.ChaCha8 // seeded when the guest first draws
	output   output
	log      log
}

// Value of a call's context is none: the runtime asks for some at each call. Hosts ask Call.Context.
func (c *Call) Value(any) any { return nil }

// Memory is that of the guest. What it returns must not be kept beyond a call of the guest.
func (c *Call) Memory() api.Memory { return c.instance.memory }

// State is what Setup.Begin has returned.
func (c *Call) State() any { return c.instance.state }

// Invoke calls a function that the guest exports, which has at most one result. It is for whoever leads a call (Request.Drive), and for
// functions of hosts, which give an error on (Stop). Nothing that the guest has told must be taken for more than numbers.
func (c *Call) Invoke(name string, args ...uint64) (uint64, error) {
	r, err := c.enter(name, args)
	switch {
	case err != nil:
		return 0, err
	case r.ExitCode != 0:
		return 0, &Trap{Text: fmt.Sprintf("it exited with code %d", r.ExitCode)}
	case len(r.Results) == 0:
		return 0, nil
	}
	return r.Results[0], nil
}

// Random is the call's own generator, for guests whose own was seeded before the snapshot.
func (c *Call) Random() uint64 { return c.random() }

// Stop ends the call with an error. It does not return.
func (c *Call) Stop(err error) {
	c.stopped = err
	panic(err)
}

// Pay makes the guest pay for bytes that were moved for it.
func (c *Call) Pay(bytes uint64) {
	fuel := c.instance.fuel
	left := int64(fuel.Get()) - int64(bytes/16)
	fuel.Set(uint64(left))
	if left < 0 {
		c.refuel()
	}
}

// Work makes the guest pay for bytes that were read or made for it one by one: parsed, sorted, put together. Hosts that do so without would work for
// guests far beyond their fuel, and their deadlines, which are looked at when fuel is used up.
func (c *Call) Work(bytes int) { c.Pay(uint64(bytes) * workUnits * 16) }

// workUnits is what a byte of such work costs, in units: some nanoseconds.
const workUnits = 32

// Output counts bytes of the response that a host keeps itself, and stops a call that has too many.
func (c *Call) Output(bytes int) {
	if c.usage.Output += int64(bytes); c.usage.Output > c.limits.OutputMax {
		c.Stop(ErrOutput)
	}
}

// Left is how much of its time the call has left; an hour if time does not bound it.
func (c *Call) Left() time.Duration {
	if c.limits.Wall <= 0 || c.engine.options.Elapsed == nil {
		return time.Hour
	}
	return max(c.limits.Wall-(c.engine.options.Elapsed()-c.begun), 0)
}

// begin gives the first slice.
func (c *Call) begin() {
	if c.engine.options.Elapsed != nil {
		c.begun = c.engine.options.Elapsed()
	}
	c.rest = int64(min(c.limits.Fuel, 1<<62))
	c.hand(0)
}

// hand hands out the next slice, on top of what is owed.
func (c *Call) hand(owed int64) {
	c.rest += owed
	slice := min(c.rest, int64(max(c.limits.Slice, 1)))
	c.rest -= slice
	c.instance.fuel.Set(uint64(slice))
}

// refuel is called when the fuel is below zero.
func (c *Call) refuel() {
	owed := int64(c.instance.fuel.Get())
	switch {
	case c.rest+owed <= 0:
		c.Stop(ErrFuel)
	case c.Context.Err() != nil:
		c.Stop(c.Context.Err())
	case c.limits.Wall > 0 && c.engine.options.Elapsed != nil && c.engine.options.Elapsed()-c.begun > c.limits.Wall:
		c.Stop(ErrWall)
	}
	c.hand(owed)
}

// Spent is what the call has cost so far, in units.
func (c *Call) Spent() uint64 {
	total := int64(min(c.limits.Fuel, 1<<62))
	return uint64(max(0, total-c.rest-int64(c.instance.fuel.Get())))
}

// random is for a guest whose own generator was seeded before the snapshot.
func (c *Call) random() uint64 {
	if c.drawn == nil {
		var seed [32]byte
		if c.World.Rand != nil {
			if _, err := io.ReadFull(c.World.Rand, seed[:]); err != nil {
				c.Stop(fmt.Errorf("engine: random numbers: %w", err))
			}
		}
		c.drawn = rand.NewChaCha8(seed)
	}
	return c.drawn.Uint64()
}

// sleep is a guest's.
func (c *Call) sleep(d time.Duration) {
	if c.Request.Sleep != nil {
		c.Request.Sleep(d)
		return
	}
	if left := c.limits.Wall - (c.engine.options.Elapsed() - c.begun); c.limits.Wall > 0 && left < d {
		d = left
	}
	c.engine.options.Sleep(c.Context, d)
	c.refuel()
}

// ended says what an error of the runtime means.
func (c *Call) ended(err error, depthMax uint32) (uint32, error) {
	var exit *sys.ExitError
	switch {
	case err == nil:
		return 0, nil
	case c.stopped != nil:
		return 0, c.stopped
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	case depthMax > 0 && uint32(c.instance.depth.Get()) > depthMax:
		return 0, ErrRecursion
	}
	const textMax = 2000
	text := err.Error()
	if len(text) > textMax {
		text = strings.ToValidUTF8(text[:textMax], "") + " ..."
	}
	return 0, &Trap{Text: text}
}

// output is a writer of a guest, bounded.
type output struct {
	call *Call
	to   io.Writer
}

func (o *output) Write(p []byte) (int, error) {
	o.call.Output(len(p))
	if o.to == nil {
		return len(p), nil
	}
	return o.to.Write(p)
}

type log struct {
	call *Call
	to   io.Writer
}

func (l *log) Write(p []byte) (int, error) {
	room := l.call.limits.LogMax - l.call.usage.Logged
	l.call.usage.Logged += int64(len(p))
	if room <= 0 || l.to == nil {
		return len(p), nil
	}
	if _, err := l.to.Write(p[:min(room, int64(len(p)))]); err != nil {
		return 0, fmt.Errorf("engine: writing a log: %w", err)
	}
	return len(p), nil
}
