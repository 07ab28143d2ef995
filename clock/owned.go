package clock

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"time"
)

// Within runs f as a task of another loop, there, and waits for it. It must be called by
// a task of here, of which others have turns meanwhile: before f, during it and after
// it. f's context has the values of ctx and ends when ctx does or when there stops.
// Within returns nil when f has returned, whatever ended meanwhile; otherwise ErrStopped
// or the cause of ctx's end, and if f had begun, it has ended.
func Within(ctx context.Context, here, there Loop, f func(ctx context.Context)) error {
	err, ran := error(nil), false
	left := Offload(ctx, here, func() { err, ran = Do(ctx, there, f), true })
	if !ran {
		return left
	}
	return err
}

// Shared is implemented by types whose values tasks of several loops may use at once,
// with the same outcome in both worlds. A service declares none: it keeps what its
// loops share in an [Owned].
type Shared interface{ SharedByLoops() }

// Owned is a value that belongs to a loop, for the loops that share it: what the
// handlers of a data plane have in common with their service, and with each other.
type Owned[T any] struct {
	loop  Loop
	value T
}

// Own returns a value that belongs to l.
func Own[T any](l Loop, value T) *Owned[T] { return &Owned[T]{loop: l, value: value} }

// SharedByLoops implements Shared.
func (o *Owned[T]) SharedByLoops() {}

// With runs f, which must not park, in a turn of the value's loop, see [Within]. It must be
// called by a task of here. f must not keep the value.
func (o *Owned[T]) With(ctx context.Context, here Loop, f func(value *T)) error {
	live, is := o.loop.(*Live)
	if !is {
		return Within(ctx, here, o.loop, func(context.Context) { f(&o.value) })
	}
	err, ran := error(nil), false
	left := Offload(ctx, here, func() { err, ran = live.enter(func() { f(&o.value) }), true })
	if !ran {
		return left
	}
	return err
}

// Do is With for an f that may park: it is a task of the value's loop, see [Within], of which others
// have turns meanwhile.
func (o *Owned[T]) Do(ctx context.Context, here Loop, f func(ctx context.Context, value *T)) error {
	return Within(ctx, here, o.loop, func(ctx context.Context) { f(ctx, &o.value) })
}

// Here is the value, in a turn of its loop and for that turn. In a simulated world it
// panics in a turn of any other.
func (o *Owned[T]) Here() *T {
	if l, ok := o.loop.(interface{ HasTurn() bool }); ok && !l.HasTurn() {
		panic(fmt.Sprintf("clock: a %T of another loop is used here: reach it by With", o.value))
	}
	return &o.value
}

// CheckShareable returns an error that names what tasks of several loops could not use
// at once in a value: anything through which they could reach what one of them
// changes. Plain values that nobody changes are fine, and so are a [Shared] and a
// logger. It is for handlers that run on branches: what they do in their own variables
// concerns nobody else.
func CheckShareable(v any) error {
	if v == nil {
		return nil
	}
	return checkShareable(reflect.ValueOf(v), fmt.Sprintf("%T", v), 0)
}

// shareDepthMax bounds how deep a value is nested.
const shareDepthMax = 16

var (
	sharedType = reflect.TypeFor[Shared]()
	safeTypes  = map[reflect.Type]bool{reflect.TypeFor[*slog.Logger](): true, reflect.TypeFor[time.Time](): true}
)

func checkShareable(v reflect.Value, path string, depth int) error {
	t := v.Type()
	if t.Implements(sharedType) || safeTypes[t] {
		return nil
	}
	if depth > shareDepthMax {
		return fmt.Errorf("clock: %s is nested too deep", path)
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if err := checkShareable(v.Field(i), path+"."+t.Field(i).Name, depth+1); err != nil {
				return err
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			if err := checkShareable(v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Interface:
		if !v.IsNil() {
			return checkShareable(v.Elem(), path, depth+1)
		}
	case reflect.Chan, reflect.Func, reflect.Map, reflect.Pointer, reflect.Slice, reflect.UnsafePointer:
		return fmt.Errorf("clock: %s is a %s, through which loops that run at once could reach the same: keep it in a clock.Owned", path, t)
	}
	return nil
}

// Enter is Do for foreign goroutines, as [Do] is: it must not be called by a task of a loop.
func (o *Owned[T]) Enter(ctx context.Context, f func(ctx context.Context, value *T)) error {
	return Do(ctx, o.loop, func(ctx context.Context) { f(ctx, &o.value) })
}
