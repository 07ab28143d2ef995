package evidence

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// registerOp is a read, or a write; end < 0: nobody knows its outcome.
type registerOp struct {
	write      bool
	value      uint64
	begin, end time.Duration
}

// judgeRegister feeds a history to a maxRegister in the order in which it happens.
func judgeRegister(ops []registerOp) error {
	type moment struct {
		at  time.Duration
		op  registerOp
		end bool
	}
	var moments []moment
	for _, op := range ops {
		if op.write {
			moments = append(moments, moment{at: op.begin, op: op})
		}
		if op.end >= 0 {
			moments = append(moments, moment{at: op.end, op: op, end: true})
		}
	}
	slices.SortFunc(moments, func(a, b moment) int { return int(a.at - b.at) })
	var r MaxRegister
	for _, m := range moments {
		switch {
		case m.op.write && !m.end:
			r.Begin(m.at, Height{Major: m.op.value})
		case m.op.write:
			r.Done(m.at, Height{Major: m.op.value})
		default:
			if err := r.Read(m.op.begin, m.op.end, Height{Major: m.op.value}); err != nil {
				return err
			}
		}
	}
	return nil
}

// porcupineRegister is the same object for porcupine.
var porcupineRegister = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(state, input, output any) (bool, any) {
		held, op := state.(uint64), input.(registerOp)
		if op.write {
			return true, max(held, op.value)
		}
		return op.value == held, held
	},
}

// TestRegisterAgreesWithPorcupine judges small histories both ways: those that a
// register made, those that were spoilt in one place, and nonsense.
func TestRegisterAgreesWithPorcupine(t *testing.T) {
	verdicts := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "operations")
		times := rapid.Permutation(ascending(2*n)).Draw(t, "times") // all moments differ
		var ops []registerOp
		var events []porcupine.Operation
		for i := range n {
			a, b := times[2*i], times[2*i+1]
			op := registerOp{
				write: rapid.Bool().Draw(t, "write"), value: uint64(rapid.IntRange(0, 4).Draw(t, "value")),
				begin: min(a, b), end: max(a, b),
			}
			if op.write {
				op.value++
			}
			end := op.end
			if op.write && rapid.IntRange(0, 3).Draw(t, "unknown") == 0 {
				op.end, end = -1, time.Duration(1000+i) // it may take effect at any time
			}
			ops = append(ops, op)
			events = append(events, porcupine.Operation{ClientId: i, Input: op, Call: int64(op.begin), Return: int64(end)})
		}
		want := porcupine.CheckOperations(porcupineRegister, events)
		verdicts[want]++
		require.Equal(t, want, judgeRegister(ops) == nil, "%v: %v", ops, judgeRegister(ops))
	})
	require.Greater(t, verdicts[true], 5)
	require.Greater(t, verdicts[false], 5)
}

func ascending(n int) []time.Duration {
	list := make([]time.Duration, n)
	for i := range list {
		list[i] = time.Duration(i + 1)
	}
	return list
}

// registerHistory is what n clients of a real register saw.
func registerHistory(n int, seed uint64) []registerOp {
	rnd := rand.New(rand.NewPCG(seed, 1))
	ops := make([]registerOp, n)
	var held uint64
	for i := range ops {
		at := time.Duration(i) * 10
		op := registerOp{write: rnd.IntN(4) == 0, begin: at - time.Duration(rnd.IntN(200)), end: at + time.Duration(rnd.IntN(200))}
		op.begin = max(op.begin, 0)
		if op.write {
			op.value = uint64(rnd.IntN(2 * n))
			held = max(held, op.value)
		} else {
			op.value = held
		}
		ops[i] = op
	}
	return ops
}

// TestRegisterAtSize: what a register did is accepted, a stale read in the middle
// of it is not, and 100,000 operations take no second.
func TestRegisterAtSize(t *testing.T) {
	ops := registerHistory(100_000, 1)
	began := time.Now()
	require.NoError(t, judgeRegister(ops))
	require.Less(t, time.Since(began), time.Second, "of real time, sorting included")
	i := slices.IndexFunc(ops, func(op registerOp) bool { return !op.write && op.begin > 900_000 })
	ops[i].value = ops[i-1000].value
	require.Error(t, judgeRegister(ops))
}

func BenchmarkRegister(b *testing.B) {
	ops := registerHistory(100_000, 1)
	for b.Loop() {
		if err := judgeRegister(ops); err != nil {
			b.Fatal(err)
		}
	}
}
