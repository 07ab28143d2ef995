package clock

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// watched is a live loop in virtual time that counts its timers.
type watched struct {
	*Live
	began   time.Time
	pending map[*watchedTimer]bool
}

type watchedTimer struct {
	Timer
	loop *watched
}

// Elapsed implements Clock.
func (l *watched) Elapsed() time.Duration { return time.Since(l.began) + time.Hour }

// AfterFunc implements Clock.
func (l *watched) AfterFunc(d time.Duration, f func()) Timer {
	t := &watchedTimer{loop: l}
	l.pending[t] = true
	t.Timer = l.Live.AfterFunc(d, func() {
		delete(l.pending, t)
		f()
	})
	return t
}

// Stop implements Timer.
func (t *watchedTimer) Stop() bool {
	delete(t.loop.pending, t)
	return t.Timer.Stop()
}

// inTask runs a test as a task in virtual time, after which no timer is left.
func inTask(t *testing.T, f func(ctx context.Context, l *watched)) {
	synctest.Test(t, func(t *testing.T) {
		l := &watched{Live: NewLive(), began: time.Now(), pending: map[*watchedTimer]bool{}}
		defer func() { require.True(t, l.Stop(time.Minute)) }()
		require.NoError(t, Do(context.Background(), l, func(ctx context.Context) {
			f(ctx, l)
			require.Empty(t, l.pending, "a timer was left behind")
		}))
	})
}

func TestTimeouts(t *testing.T) {
	inTask(t, func(ctx context.Context, l *watched) {
		left, bounded := Remaining(ctx)
		require.False(t, bounded)
		require.Zero(t, left)
		long, cancelLong := WithTimeout(ctx, l, 10*time.Second)
		short, cancelShort := WithTimeout(long, l, 4*time.Second)
		longer, cancelLonger := WithTimeout(long, l, time.Minute)
		for at, want := range []time.Duration{4, 3, 2, 1, 0, 0} {
			left, bounded := Remaining(short)
			require.True(t, bounded)
			require.Equal(t, want*time.Second, left)
			left, _ = Remaining(longer)
			require.Equal(t, time.Duration(10-at)*time.Second, left, "no later than the outer one")
			require.NoError(t, Sleep(ctx, l, time.Second))
		}
		require.ErrorIs(t, context.Cause(short), context.DeadlineExceeded)
		require.NoError(t, long.Err())
		start := l.Elapsed()
		require.ErrorIs(t, Sleep(longer, l, time.Hour), context.DeadlineExceeded)
		require.Equal(t, 4*time.Second, l.Elapsed()-start)
		cancelShort()
		cancelLong()
		cancelLonger()
		given, cancel := WithTimeout(ctx, l, time.Second)
		cancel()
		require.ErrorIs(t, context.Cause(given), context.Canceled)
		require.ErrorIs(t, Sleep(given, l, time.Second), context.Canceled)
	})
}

// TestFirst waits for as many as are needed and can be had.
func TestFirst(t *testing.T) {
	errs := []error{errors.New("a"), errors.New("b"), errors.New("c")}
	for name, row := range map[string]struct {
		outcomes string // of each task, in the order of their ends, one a second
		need     int
		want     error
		took     time.Duration
	}{
		"none needed":      {"...", 0, nil, 0},
		"minus":            {"...", -1, nil, 0},
		"the first":        {"...", 1, nil, 1},
		"the second":       {"a..", 1, nil, 2},
		"two":              {".a.", 2, nil, 3},
		"all":              {"...", 3, nil, 3},
		"one of all fails": {".b.", 3, errs[1], 2},
		"two fail":         {"ab.", 2, errs[0], 2},
		"all fail":         {"cba", 1, errs[2], 3},
		"too many":         {"..", 3, context.Canceled, 0},
	} {
		inTask(t, func(ctx context.Context, l *watched) {
			start, cancelled := l.Elapsed(), 0
			err := First(ctx, l, len(row.outcomes), row.need, func(ctx context.Context, i int) error {
				if err := Sleep(ctx, l, time.Duration(i+1)*time.Second); err != nil {
					cancelled++
					return err
				}
				if o := row.outcomes[i]; o != '.' {
					return errs[o-'a']
				}
				return nil
			})
			require.Equal(t, row.want, err, name)
			require.Equal(t, row.took*time.Second, l.Elapsed()-start, name)
			require.NoError(t, Sleep(ctx, l, time.Minute))
			if row.need > 0 {
				require.Equal(t, len(row.outcomes)-int(row.took), cancelled, "%s: who still runs is told", name)
			}
		})
	}
	inTask(t, func(ctx context.Context, l *watched) {
		short, cancel := WithTimeout(ctx, l, time.Second)
		defer cancel()
		err := First(short, l, 1, 1, func(context.Context, int) error { return Sleep(ctx, l, time.Minute) })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, Sleep(ctx, l, time.Hour))
	})
}

// TestEvery calls at its interval until it is told to stop, or ctx ends.
func TestEvery(t *testing.T) {
	inTask(t, func(ctx context.Context, l *watched) {
		start, calls := l.Elapsed(), []time.Duration(nil)
		err := Every(ctx, l, time.Second, func(context.Context) bool {
			calls = append(calls, l.Elapsed()-start)
			return len(calls) < 3
		})
		require.NoError(t, err)
		require.Len(t, calls, 3)
		require.Equal(t, time.Second, calls[1]-calls[0])
		require.Equal(t, time.Second, calls[2]-calls[1])
		short, cancel := WithTimeout(ctx, l, 2500*time.Millisecond)
		defer cancel()
		n := 0
		require.ErrorIs(t, Every(short, l, time.Second, func(context.Context) bool { n++; return true }), context.DeadlineExceeded)
		require.Equal(t, 2, n)
	})
}

// TestQueuesAreFair: who has waited longest gets the next item, or the next place.
func TestQueuesAreFair(t *testing.T) {
	inTask(t, func(ctx context.Context, l *watched) {
		pause := func() { require.NoError(t, Sleep(ctx, l, time.Millisecond)) }
		q := NewQueue[int](l, 2)
		var got, put []string
		popper := func(name string) {
			l.Go(name, func(ctx context.Context) {
				i, err := q.Pop(ctx)
				if err != nil {
					got = append(got, name+" "+err.Error())
					return
				}
				got = append(got, name+string(rune('0'+i)))
			})
			pause()
		}
		for _, name := range []string{"a", "b", "c"} {
			popper(name)
		}
		for i := 1; i <= 3; i++ {
			require.NoError(t, q.TryPush(i))
			require.Equal(t, 1, q.Len())
			pause()
		}
		require.Equal(t, []string{"a1", "b2", "c3"}, got)
		got = nil
		popper("d")
		popper("e")
		require.NoError(t, q.TryPush(4))
		require.NoError(t, q.TryPush(5))
		require.ErrorIs(t, q.TryPush(6), ErrFull)
		pause()
		require.Len(t, got, 2)
		got = nil
		for i := 1; i <= 5; i++ {
			l.Go("push", func(ctx context.Context) {
				if err := q.Push(ctx, i); err != nil {
					put = append(put, err.Error())
				} else {
					put = append(put, string(rune('0'+i)))
				}
			})
			pause()
		}
		require.Equal(t, []string{"1", "2"}, put)
		for i := 1; i <= 2; i++ {
			item, err := q.Pop(ctx)
			require.NoError(t, err)
			require.Equal(t, i, item)
			pause()
		}
		require.Equal(t, []string{"1", "2", "3", "4"}, put)
		q.Close()
		pause()
		require.Equal(t, []string{"1", "2", "3", "4", ErrStopped.Error()}, put)
		for i := 3; i <= 4; i++ {
			item, err := q.Pop(ctx)
			require.NoError(t, err)
			require.Equal(t, i, item)
		}
		_, err := q.Pop(ctx)
		require.ErrorIs(t, err, ErrStopped)
		require.ErrorIs(t, q.TryPush(1), ErrStopped)
		require.ErrorIs(t, q.Push(ctx, 1), ErrStopped)
	})
}

// TestWakesAreNotLost: who is woken and leaves passes it on; who leaves without
// takes nothing along.
func TestWakesAreNotLost(t *testing.T) {
	inTask(t, func(ctx context.Context, l *watched) {
		for _, woken := range []bool{false, true} {
			q := NewQueue[int](l, 1)
			given, cancel := context.WithCancel(ctx)
			first, second := 0, 0
			l.Go("first", func(context.Context) { first, _ = q.Pop(given) })
			require.NoError(t, Sleep(ctx, l, time.Millisecond))
			l.Go("second", func(ctx context.Context) { second, _ = q.Pop(ctx) })
			require.NoError(t, Sleep(ctx, l, time.Millisecond))
			if woken {
				require.NoError(t, q.TryPush(7))
				cancel()
			} else {
				cancel()
				require.NoError(t, Sleep(ctx, l, time.Millisecond))
				require.NoError(t, q.TryPush(7))
			}
			require.NoError(t, Sleep(ctx, l, time.Millisecond))
			require.Equal(t, 7, first+second)
			q.Close()
			require.NoError(t, Sleep(ctx, l, time.Millisecond))
		}
	})
}
