// Package mutant is the switch between a program and its mutants. Code that
// scenarios/mutation rewrote calls it at every place where a mutant differs; no
// other code imports it. Which mutant runs is read from the environment once,
// at start, so that one build is all mutants.
//
// Every function takes the number of a mutant, computes what the original
// computes, and the other thing when that mutant is on. Numbers start at 1.
package mutant

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"time"
)

// The environment of a mutated program.
const (
	EnvOn      = "TAU_MUTANT"         // the number of the mutant that is on; without it none
	EnvReached = "TAU_MUTANT_REACHED" // a file with a byte for each number, set to 1 when the place is reached
	EnvCPU     = "TAU_MUTANT_CPU"     // seconds of processor time after which the kernel ends the process
	EnvMemory  = "TAU_MUTANT_MEMORY"  // bytes of data above which allocations fail
)

var (
	on      uint32
	reached []byte // shared with the file, so that it survives any end of the process
)

func init() {
	on = uint32(number(EnvOn))
	limit(number(EnvCPU), number(EnvMemory))
	if file := os.Getenv(EnvReached); file != "" {
		var err error
		if reached, err = mapFile(file); err != nil {
			fatal(err)
		}
	}
}

func number(name string) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		fatal(fmt.Errorf("%s: %w", name, err))
	}
	return n
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "mutant:", err)
	os.Exit(3)
}

// On reports whether a mutant runs.
func On(n uint32) bool {
	if reached != nil {
		reached[n] = 1
	}
	return n == on
}

// Call is f(), or nothing and nil.
func Call(n uint32, f func() error) error {
	if On(n) {
		return nil
	}
	return f()
}

// Err is err, or nil.
func Err(n uint32, err error) error {
	if On(n) {
		return nil
	}
	return err
}

// Zero is v, or the zero value.
func Zero[T any](n uint32, v T) T {
	if On(n) {
		var zero T
		return zero
	}
	return v
}

// Append is append(s, e...), or s.
func Append[S ~[]E, E any](n uint32, s S, e ...E) S {
	if On(n) {
		return s
	}
	return append(s, e...)
}

// Less is a < b, or a <= b.
func Less[T cmp.Ordered](n uint32, a, b T) bool {
	if On(n) {
		return a <= b
	}
	return a < b
}

// AtMost is a <= b, or a < b.
func AtMost[T cmp.Ordered](n uint32, a, b T) bool {
	if On(n) {
		return a < b
	}
	return a <= b
}

// More is a > b, or a >= b.
func More[T cmp.Ordered](n uint32, a, b T) bool { return Less(n, b, a) }

// AtLeast is a >= b, or a > b.
func AtLeast[T cmp.Ordered](n uint32, a, b T) bool { return AtMost(n, b, a) }

type integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

type numeric interface {
	integer | ~float32 | ~float64
}

// Sum is a + b, or a - b.
func Sum[T numeric](n uint32, a, b T) T {
	if On(n) {
		return a - b
	}
	return a + b
}

// Difference is a - b, or a + b.
func Difference[T numeric](n uint32, a, b T) T {
	if On(n) {
		return a + b
	}
	return a - b
}

// Product is a * b, or a + b.
func Product[T numeric](n uint32, a, b T) T {
	if On(n) {
		return a + b
	}
	return a * b
}

// Quotient is a / b, or a * b.
func Quotient[T numeric](n uint32, a, b T) T {
	if On(n) {
		return a * b
	}
	return a / b
}

// Remainder is a % b, or a / b.
func Remainder[T integer](n uint32, a, b T) T {
	if On(n) {
		return a / b
	}
	return a % b
}

// Both is a & b, or a | b.
func Both[T integer](n uint32, a, b T) T {
	if On(n) {
		return a | b
	}
	return a & b
}

// Either is a | b, or a & b.
func Either[T integer](n uint32, a, b T) T {
	if On(n) {
		return a & b
	}
	return a | b
}

// Next is v, or v + 1.
func Next[T integer](n uint32, v T) T {
	if On(n) {
		return v + 1
	}
	return v
}

// Previous is v, or v - 1.
func Previous[T integer](n uint32, v T) T {
	if On(n) {
		return v - 1
	}
	return v
}

// Raised is v, or Raise of it.
func Raised[T numeric](n uint32, v T) T {
	if On(n) {
		return Raise(v)
	}
	return v
}

// stepMax is the largest number that is raised by one; larger ones would hardly
// differ.
const stepMax = 64

// Raise is v + 1 for small numbers and 10 v for others. Durations become ten
// times as long; none becomes a second.
func Raise[T numeric](v T) T {
	switch d, ok := any(v).(time.Duration); {
	case ok && d == 0:
		second := time.Second
		return T(second)
	case ok:
		return T(10 * d)
	}
	if v <= stepMax {
		return v + 1
	}
	ten := T(10)
	return v * ten
}
