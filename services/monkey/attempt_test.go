package monkey

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/node/fencing"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
)

// Whoever asks a monkey what it does hears of each phase, under one token.
func TestPhases(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.fences.after, y.pins.after, y.publishes.after, y.finishes.after = 2*time.Second, 2*time.Second, 2*time.Second, 2*time.Second
		y.offer(job(1))
		token := fencing.Token{Attempt: 3, Holder: y.monkey.Peer()}
		nodetest.Sleep(time.Second)
		for i, phase := range []string{"fetch", "build", "pin", "publish", "finish"} {
			var status monkeyapi.StatusResponse
			y.turn(func(s *Service) {
				status, _ = s.status(context.Background(), y.patrick.Peer(), monkeyapi.StatusRequest{})
			})
			require.Equal(t, monkeyapi.StatusResponse{Slots: 2, Work: []monkeyapi.Work{
				{Job: job(1), Token: token, Phase: phase, For: time.Duration(2*i+1) * time.Second},
			}}, status)
			held := y.holding()
			require.Equal(t, []Held{{Job: job(1), Token: token, Renewed: held[0].Renewed}}, held)
			nodetest.Sleep(2 * time.Second)
		}
		require.Empty(t, y.holding())
		require.Equal(t, uint64(3), y.requests[0].Attempt)
		require.Equal(t, job(1), y.requests[0].Job.ID)
		require.Equal(t, []patrickapi.File{{Path: "a", Data: []byte("1")}}, y.requests[0].Tree.Files)
		require.Equal(t, true, y.Facts("build-ended")[0].Fields["success"])
	})
}

// A lock is renewed each third of its lease from when the last good request was
// sent, and ten times a lease when a renewal was not answered.
func TestWhenALockIsRenewed(t *testing.T) {
	const unit = 100 * time.Millisecond
	for name, c := range map[string]struct {
		renews steps
		want   []time.Duration // from when the lock was taken, in units
	}{
		"answered": {steps{after: unit}, []time.Duration{30, 61, 92, 123}},
		"failed":   {steps{after: unit, err: failing(transport.Internal)}, []time.Duration{30, 40, 50, 60, 70, 80, 90}[:6]},
		"silence":  {steps{after: time.Hour}, []time.Duration{30, 69}},
	} {
		t.Run(name, func(t *testing.T) {
			inYard(t, without{}, nil, func(y *yard) {
				y.build, y.renews = forever, c.renews
				y.offer(job(1))
				var began time.Duration
				y.turn(func(s *Service) { began = s.env.Loop.Elapsed() })
				nodetest.Sleep(lease + 4*time.Second)
				var at []time.Duration
				for _, r := range y.renewed {
					at = append(at, (r.at-began)/unit)
					require.Equal(t, patrickapi.RenewRequest{Job: job(1), Token: fencing.Token{Attempt: 3, Holder: y.monkey.Peer()}}, r.req)
				}
				require.Equal(t, c.want, at)
			})
		})
	}
}

// What ends with the lock says so in the log, and has no effect after it.
func TestWhatALostLockEnds(t *testing.T) {
	const ended = "failed: monkey/lock: conflict: the lease has ended"
	silent := failing(transport.Internal)
	for name, c := range map[string]struct {
		given             func(y *yard)
		log               string
		builds, published int
	}{
		"a fence that fails": {func(y *yard) { y.fences.err, y.renews.err = silent, silent }, ended, 0, 0},
		"a build":            {func(y *yard) { y.build, y.renews.err = forever, silent }, "failed: context canceled", 1, 0},
		"a pin that takes until then, unnoticed": {func(y *yard) {
			y.renews.after, y.pins.after = time.Hour, 7500*time.Millisecond
		}, ended, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inYard(t, without{}, nil, func(y *yard) {
				c.given(y)
				y.offer(job(1))
				nodetest.Sleep(lease + 5*time.Second)
				lines := y.allLogged()
				require.Equal(t, c.log, lines[len(lines)-1])
				require.Equal(t, c.builds, y.builds)
				require.Len(t, y.published, c.published)
				require.Equal(t, []any{"the lease has ended"}, y.reasons())
				for _, f := range y.finished {
					require.True(t, f.Abandoned)
					require.False(t, f.Published)
				}
			})
		})
	}
}

// A step that goes wrong ends the attempt there; nothing that goes wrong after a
// publication undoes it.
func TestWhereAnAttemptGoesWrong(t *testing.T) {
	for point, c := range map[string]struct {
		fenced, builds, pinned, published int
		success                           bool
	}{
		"monkey/after-lock":     {0, 0, 0, 0, false},
		"monkey/after-build":    {1, 1, 0, 0, false},
		"monkey/before-publish": {1, 1, 1, 0, false},
		"monkey/after-publish":  {1, 1, 1, 1, true},
	} {
		t.Run(point, func(t *testing.T) {
			disable, err := fail.Enable(fail.Rule{Point: point, Do: fail.Action{Do: fail.Error}})
			require.NoError(t, err)
			defer disable()
			inYard(t, without{}, nil, func(y *yard) {
				y.offer(job(1))
				nodetest.Sleep(4 * time.Second)
				require.Equal(t, []int{c.fenced, c.builds, c.pinned, c.published}, []int{len(y.fenced), y.builds, len(y.pinned), len(y.published)})
				require.Len(t, y.finished, 1)
				require.Equal(t, c.success, y.finished[0].Success)
				require.Equal(t, c.success, y.finished[0].Published)
				require.Equal(t, !c.success, y.finished[0].Error != "")
				require.Len(t, y.Facts("failpoint"), 1)
			})
		})
	}
}

// What cannot be written is no artifact, and no log: the failure is told all the same,
// once, since there is no log to wait for.
func TestADiskThatTakesNothing(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.logCopies = 0
		y.build = func(context.Context, clock.Loop, Request) (Result, error) {
			y.monkey.Disk.SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, _ string) error {
				if op == memdisk.OpWrite {
					return errors.New("full")
				}
				return nil
			}})
			return Result{Artifact: []byte("artifact")}, nil
		}
		y.offer(job(1))
		nodetest.Sleep(5 * time.Second)
		y.monkey.Disk.SetFaults(memdisk.Faults{})
		require.Len(t, y.finished, 1)
		require.Contains(t, y.finished[0].Error, "full")
		require.Empty(t, y.finished[0].Log)
		require.Zero(t, y.finished[0].LogSize)
		require.Empty(t, y.pinned)
	})
}

// A refusal of tns is told as a fact, whatever comes of it.
func TestARefusedPublicationIsAFact(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.publishes.err = failing(transport.Conflict)
		y.offer(job(1))
		nodetest.Sleep(3 * time.Second)
		require.Len(t, y.Facts("publish-refused"), 1)
	})
	inYard(t, without{}, nil, func(y *yard) { // no room: a try each second
		y.pins.err = failing(transport.Refused)
		y.offer(job(1))
		nodetest.Sleep(lease + refusedRetryMax)
		require.Len(t, y.pinned, int(refusedRetryMax/retryWait)+1)
		require.Empty(t, y.Facts("publish-refused"))
	})
}

// A monkey that stops takes nothing on, and does not wait long to be heard.
func TestAStopIsShort(t *testing.T) {
	inYard(t, without{}, nil, func(y *yard) {
		y.build, y.finishes.after = forever, time.Hour
		y.offer(job(1))
		nodetest.Sleep(time.Second)
		began, stopped := time.Now(), make(chan time.Duration, 1)
		go func() {
			y.monkey.Stop()
			stopped <- time.Since(began)
		}()
		nodetest.Sleep(time.Second)
		y.offer(job(2))
		require.Equal(t, stopTimeout, <-stopped)
		require.Len(t, y.claimed, 1)
	})
}

// Without hoarders a monkey keeps what was published, and nothing else; and what was
// built is built, if its builder did not heed the limit.
func TestWhatFailedIsNotKept(t *testing.T) {
	inYard(t, without{hoarder: true}, nil, func(y *yard) {
		y.publishes.err = failing(transport.Invalid)
		y.offer(job(1))
		nodetest.Sleep(4 * time.Second)
		require.Len(t, y.finished, 1)
		require.False(t, y.finished[0].Success)
		require.Zero(t, y.stored())
	})
	inYard(t, without{}, nil, func(y *yard) {
		y.build = func(_ context.Context, loop clock.Loop, _ Request) (Result, error) {
			return Result{Artifact: []byte("late")}, clock.Sleep(context.Background(), loop, time.Minute+time.Second)
		}
		y.offer(job(1))
		nodetest.Sleep(time.Minute + 3*time.Second)
		require.Len(t, y.finished, 1)
		require.True(t, y.finished[0].Success)
	})
}
