package fault

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// link is a direction between two nodes.
type link struct{ from, to string }

var everybody = []string{"a", "b", "c", "d", "late"}

// machines is a Target that only remembers: the world as faults see it.
type machines struct {
	up, paused, suspended    map[string]bool
	links                    map[link]LinkState // that are not healthy
	lies                     map[string]Lies
	skew                     map[string]time.Duration
	drift                    map[string]int64
	disk                     map[string]Condition
	crashes, resets, corrupt int
	effects                  map[string]Effects
	affected                 func(from, to string, part LinkPart)
}

func newMachines() *machines {
	return &machines{up: map[string]bool{}, paused: map[string]bool{}, suspended: map[string]bool{}, links: map[link]LinkState{},
		skew: map[string]time.Duration{}, drift: map[string]int64{}, disk: map[string]Condition{}, lies: map[string]Lies{}, effects: map[string]Effects{}}
}

func set[K comparable, V comparable](m map[K]V, k K, v V) {
	var zero V
	if m[k] = v; v == zero {
		delete(m, k)
	}
}

func (m *machines) Crash(n string, loseDisk bool) bool {
	was := m.up[n]
	m.crashes++
	set(m.up, n, false)
	set(m.paused, n, false)
	set(m.suspended, n, false)
	return was || loseDisk
}
func (m *machines) Stop(n string) bool {
	was := m.up[n]
	set(m.up, n, false)
	set(m.paused, n, false)
	set(m.suspended, n, false)
	return was
}
func (m *machines) Start(n string) bool {
	was := m.up[n]
	set(m.up, n, true)
	return !was
}
func (m *machines) Move(string, bool) bool { return true }

func (m *machines) Configure(string) bool  { return true }
func (m *machines) Leave(node string) bool { return m.Stop(node) }
func (m *machines) SetPaused(n string, paused bool) {
	set(m.paused, n, paused && m.up[n])
}
func (m *machines) SetSuspended(n string, suspended bool) {
	set(m.suspended, n, suspended && m.up[n])
}
func (m *machines) SetLinks(state func(from, to string) LinkState, affected func(from, to string, part LinkPart)) {
	m.affected = affected
	for _, from := range everybody {
		for _, to := range everybody {
			set(m.links, link{from, to}, state(from, to))
		}
	}
}
func (m *machines) Reset(match func(a, b string) bool) (n int) {
	for i, a := range everybody {
		for _, b := range everybody[i+1:] {
			if match(a, b) {
				n++
			}
		}
	}
	m.resets += n
	return n
}
func (m *machines) SetSkew(n string, d time.Duration) { set(m.skew, n, d) }
func (m *machines) SetDrift(n string, ppm int64)      { set(m.drift, n, ppm) }
func (m *machines) SetDisk(n string, c Condition)     { set(m.disk, n, c) }
func (m *machines) SetLies(n string, l Lies)          { set(m.lies, n, l) }
func (m *machines) CorruptValues(_ string, n int) int { m.corrupt += n; return n }
func (m *machines) Effects(n string) Effects          { return m.effects[n] }

func booted(names ...string) (*machines, *Ledger) {
	m := newMachines()
	l := NewLedger(m)
	for _, n := range names {
		l.Boot(n)
	}
	return m, l
}

func TestOverlappingPartitionsMendOneAtATime(t *testing.T) {
	m, l := booted("a", "b", "c")
	first := l.Begin(Partition{Groups: [][]string{{"a"}, {"b", "c"}}})
	second := l.Begin(Partition{Groups: [][]string{{"a", "b"}, {"c"}}})
	require.True(t, m.links[link{"a", "c"}].Cut && m.links[link{"c", "b"}].Cut && m.links[link{"b", "a"}].Cut)
	first()
	require.False(t, m.links[link{"a", "b"}].Cut)
	require.True(t, m.links[link{"a", "c"}].Cut)
	first() // a second time does nothing
	require.True(t, m.links[link{"a", "c"}].Cut)
	second()
	require.Empty(t, m.links)
}

// TestAFaultThatHitNothingSaysSo: of each kind, one that does and one that does
// not.
func TestAFaultThatHitNothingSaysSo(t *testing.T) {
	m, l := booted("a", "b", "c")
	inflict := func(f Fault) *Inflicted { return l.Inflict(f) }
	a, ab := []string{"a"}, Pairs{From: []string{"a"}, To: []string{"b"}}

	require.True(t, inflict(Crash{Nodes: a}).HadEffect())
	require.False(t, inflict(Crash{Nodes: a}).HadEffect(), "it was down")
	require.False(t, inflict(Stop{Nodes: a}).HadEffect(), "it was down")
	require.True(t, inflict(Start{Nodes: a}).HadEffect())
	require.False(t, inflict(Start{Nodes: a}).HadEffect(), "it was up")
	require.True(t, inflict(Restart{Nodes: a}).HadEffect())
	require.True(t, inflict(Corrupt{Nodes: a, Values: 1}).HadEffect())
	require.False(t, inflict(Corrupt{Nodes: a}).HadEffect())

	cut, hold, slow := inflict(Cut{ab}), inflict(Hold{ab}), inflict(Slow{Pairs: ab, Shape: Shape{Bandwidth: 1}})
	require.False(t, cut.HadEffect(), "nothing was sent")
	m.affected("b", "a", PartCut)
	require.False(t, cut.HadEffect(), "that is the other way")
	m.affected("a", "b", PartCut)
	require.True(t, cut.HadEffect())
	require.False(t, hold.HadEffect() || slow.HadEffect())
	m.affected("a", "b", PartHeld)
	m.affected("a", "b", PartShape)
	require.True(t, hold.HadEffect() && slow.HadEffect())
	require.True(t, inflict(Mend{ab}).HadEffect())
	l.Heal()
	require.True(t, cut.HadEffect())
	require.False(t, inflict(Release{ab}).HadEffect())

	pause, skew := inflict(Pause{Nodes: a}), inflict(Skew{Nodes: a, By: 1, Stays: true})
	require.False(t, pause.HadEffect() || skew.HadEffect())
	m.effects["a"] = Effects{Deferred: 1, WallReads: 1}
	pause.End()
	require.True(t, pause.HadEffect() && skew.HadEffect())
	again := inflict(Pause{Nodes: a})
	again.End()
	m.effects["a"] = Effects{Deferred: 2}
	require.False(t, again.HadEffect(), "what comes later is not its doing")

	disk := inflict(Disk{Nodes: a, Condition: Condition{Full: true}})
	m.effects["a"] = Effects{SlowSyncs: 1, Failed: 1, CorruptReads: 1}
	require.False(t, disk.HadEffect(), "another fault's")
	m.effects["a"] = Effects{Refused: 1}
	require.True(t, disk.HadEffect())
}

func TestMessageFaultsMeet(t *testing.T) {
	m, l := booted("a", "b", "c")
	all := Pairs{From: []string{"a"}, To: []string{"b", "c"}}
	rare, often := Again{Chance: 0.1, Max: 9}, Again{Chance: 0.5, Max: 1}
	first := l.Inflict(Duplicate{Pairs: all, Again: often})
	second := l.Inflict(Duplicate{Pairs: Pairs{From: []string{"a"}, To: []string{"b"}}, Again: rare})
	require.Equal(t, often, m.links[link{"a", "b"}].Again)
	first.End()
	require.Equal(t, rare, m.links[link{"a", "b"}].Again)
	require.NotContains(t, m.links, link{"a", "c"})
	require.False(t, second.HadEffect())
	m.affected("a", "b", PartAgain)
	require.True(t, second.HadEffect())

	lie := l.Inflict(Lie{Nodes: []string{"a"}, Lies: Lies{Chance: 0.2, All: true}})
	l.Inflict(Lie{Nodes: []string{"a", "b"}, Lies: Lies{Chance: 0.7}})
	require.Equal(t, map[string]Lies{"a": {Chance: 0.7, All: true}, "b": {Chance: 0.7}}, m.lies)
	require.False(t, lie.HadEffect())
	m.effects["a"] = Effects{Lies: 1}
	lie.End()
	require.True(t, lie.HadEffect())
	require.Equal(t, Lies{Chance: 0.7}, m.lies["a"])
}

func TestOneWayCut(t *testing.T) {
	m, l := booted("a", "b", "c")
	l.Begin(Cut{Pairs{From: []string{"a", "b"}, To: []string{"a", "c"}}})
	require.Equal(t, []string{"{a c}", "{b a}", "{b c}"}, keys(m.links))
	l.Begin(Hold{Pairs{From: []string{"b"}, To: []string{"a"}}})
	l.Begin(Mend{Pairs{From: []string{"b"}, To: []string{"a"}}})
	require.Equal(t, LinkState{Held: true}, m.links[link{"b", "a"}])
	l.Begin(Release{Pairs{From: []string{"a"}, To: []string{"b"}, TwoWay: true}})
	require.Equal(t, []string{"{a c}", "{b c}"}, keys(m.links))
	l.Begin(Reset{Pairs{From: []string{"a", "b"}, To: []string{"a", "b", "c"}}})
	require.Equal(t, 3, m.resets)
}

func keys[V any](m map[link]V) (out []string) {
	for k := range maps.Keys(m) {
		out = append(out, fmt.Sprint(k))
	}
	slices.Sort(out)
	return out
}

func TestANodeIsDownAsLongAsAnyFaultKeepsItDown(t *testing.T) {
	m, l := booted("a")
	require.True(t, l.ShouldBeUp("a"))
	require.False(t, l.ShouldBeUp("late"))
	crash := l.Begin(Crash{Nodes: []string{"a"}})
	stop := l.Begin(Stop{Nodes: []string{"a"}})
	crash()
	require.False(t, m.up["a"])
	require.False(t, l.ShouldBeUp("a"))
	stop()
	require.True(t, m.up["a"])
	require.True(t, l.ShouldBeUp("a"))
}

func TestANodeThatBootsWhenItWakesShouldNotBeUpBefore(t *testing.T) {
	m, l := booted()
	sleep := l.Begin(Suspend{Nodes: []string{"a"}})
	l.Boot("a")
	require.False(t, m.up["a"] || l.ShouldBeUp("a"))
	sleep()
	require.True(t, m.up["a"] && l.ShouldBeUp("a"))
}

func TestStartOverrulesAndLateEndsDoNothing(t *testing.T) {
	m, l := booted("a")
	crash := l.Begin(Crash{Nodes: []string{"a"}})
	l.Begin(Start{Nodes: []string{"a"}})
	require.True(t, m.up["a"])
	again := l.Begin(Crash{Nodes: []string{"a"}})
	crash() // of the first crash, which Start has ended
	require.False(t, m.up["a"])
	again()
	require.True(t, m.up["a"])
}

func TestCrashDuringPause(t *testing.T) {
	m, l := booted("a")
	pause := l.Begin(Pause{Nodes: []string{"a"}})
	crash := l.Begin(Crash{Nodes: []string{"a"}})
	crash()
	require.False(t, m.up["a"], "it boots when the pause ends")
	pause()
	require.True(t, m.up["a"])
	require.Empty(t, m.paused)
}

func TestCrashDuringSuspensionAndPause(t *testing.T) {
	m, l := booted("a")
	a := []string{"a"}
	suspend, pause := l.Begin(Suspend{Nodes: a}), l.Begin(Pause{Nodes: a})
	crash := l.Begin(Crash{Nodes: a})
	crash()
	suspend()
	require.False(t, m.up["a"], "it is still paused")
	pause()
	require.True(t, m.up["a"])
	l.Begin(Suspend{Nodes: a})
	require.True(t, m.suspended["a"])
	l.Begin(Resume{Nodes: a})
	require.Empty(t, m.suspended)
}

func TestPausesCount(t *testing.T) {
	m, l := booted("a")
	one := l.Begin(Pause{Nodes: []string{"a"}})
	l.Begin(Pause{Nodes: []string{"a"}})
	one()
	require.True(t, m.paused["a"])
	l.Begin(Resume{Nodes: []string{"a"}})
	require.False(t, m.paused["a"])
}

func TestLateNodesStayDownUntilTheyBoot(t *testing.T) {
	m, l := booted("a")
	end := l.Begin(Crash{Nodes: []string{"late"}})
	end()
	l.Heal()
	require.False(t, m.up["late"])
	crash := l.Begin(Crash{Nodes: []string{"late"}})
	l.Boot("late")
	require.False(t, m.up["late"], "the crash still goes on")
	crash()
	require.True(t, m.up["late"])
}

func TestYoungestShapeWinsAndWorstDiskCounts(t *testing.T) {
	m, l := booted("a", "b")
	ab := Pairs{From: []string{"a"}, To: []string{"b"}}
	l.Begin(Slow{Pairs: ab, Shape: Shape{LatencyMin: 1, LatencyMax: 2, Bandwidth: 7}})
	young := l.Begin(Slow{Pairs: ab, Shape: Shape{LatencyMin: 5, LatencyMax: 6}})
	require.Equal(t, Shape{LatencyMin: 5, LatencyMax: 6, Bandwidth: 7}, m.links[link{"a", "b"}].Shape)
	young()
	require.Equal(t, Shape{LatencyMin: 1, LatencyMax: 2, Bandwidth: 7}, m.links[link{"a", "b"}].Shape)

	l.Begin(Disk{Nodes: []string{"a"}, Condition: Condition{SyncMax: 5, ErrorProbability: 0.5}})
	l.Begin(Disk{Nodes: []string{"a"}, Condition: Condition{Full: true, ErrorProbability: 0.1}})
	require.Equal(t, Condition{SyncMax: 5, Full: true, ErrorProbability: 0.5}, m.disk["a"])
}

func TestClocks(t *testing.T) {
	m, l := booted("a")
	for_ := l.Begin(Skew{Nodes: []string{"a"}, By: time.Minute})
	require.Nil(t, l.Begin(Skew{Nodes: []string{"a"}, By: time.Second, Stays: true}))
	l.Begin(Drift{Nodes: []string{"a"}, PPM: 100})
	require.Equal(t, time.Minute+time.Second, m.skew["a"])
	for_()
	require.Equal(t, time.Second, m.skew["a"])
	l.Heal()
	require.Equal(t, time.Second, m.skew["a"], "nothing sets a clock right")
	require.Empty(t, m.drift)
}

// TestHealingLeavesNothing: whatever began and ended in whatever order, after
// Heal all is well, and each state is exactly what the active faults want.
func TestHealingLeavesNothing(t *testing.T) {
	all := []string{"a", "b", "c", "d"}
	rapid.Check(t, func(t *rapid.T) {
		m, l := booted(all...)
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, 4, rapid.ID)
		pairs := func() Pairs {
			return Pairs{From: some.Draw(t, "from"), To: some.Draw(t, "to"), TwoWay: rapid.Bool().Draw(t, "two-way")}
		}
		var ends []func()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			var f Fault
			switch rapid.IntRange(0, 16).Draw(t, "what") {
			case 0:
				f = Crash{Nodes: some.Draw(t, "nodes")}
			case 1:
				f = Stop{Nodes: some.Draw(t, "nodes")}
			case 2:
				f = Pause{Nodes: some.Draw(t, "nodes")}
			case 3:
				f = Start{Nodes: some.Draw(t, "nodes")}
			case 4:
				f = Cut{pairs()}
			case 5:
				f = Hold{pairs()}
			case 6:
				f = Refuse{pairs()}
			case 7:
				f = Slow{Pairs: pairs(), Shape: Shape{LatencyMin: 1, LatencyMax: 1}}
			case 8:
				f = Drift{Nodes: some.Draw(t, "nodes"), PPM: 5}
			case 9:
				f = Disk{Nodes: some.Draw(t, "nodes"), Condition: Condition{Full: true}}
			case 10:
				f = Mend{pairs()}
			case 11:
				f = Resume{Nodes: some.Draw(t, "nodes")}
			case 12:
				f = Restart{Nodes: some.Draw(t, "nodes")}
			case 13:
				f = Suspend{Nodes: some.Draw(t, "nodes")}
			case 14:
				f = Duplicate{Pairs: pairs(), Again: Again{Chance: 0.5}}
			case 15:
				f = Lie{Nodes: some.Draw(t, "nodes"), Lies: Lies{Chance: 0.5}}
			case 16:
				if len(ends) > 0 {
					ends[rapid.IntRange(0, len(ends)-1).Draw(t, "which")]()
				}
				continue
			}
			if end := l.Begin(f); end != nil {
				ends = append(ends, end)
			}
			checkActive(t, m, l)
		}
		l.Heal()
		require.Empty(t, l.Active())
		require.Len(t, m.up, len(all))
		require.Empty(t, m.paused)
		require.Empty(t, m.suspended)
		require.Empty(t, m.links)
		require.Empty(t, m.drift)
		require.Empty(t, m.disk)
		require.Empty(t, m.lies)
		for _, end := range ends {
			end()
		}
		require.Len(t, m.up, len(all))
		require.Empty(t, m.links)
	})
}

// checkActive: nothing is cut, held, down or paused that no active fault wants.
func checkActive(t *rapid.T, m *machines, l *Ledger) {
	wanted := map[link]bool{}
	down, paused, suspended := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, f := range l.Active() {
		switch f := f.(type) {
		case Cut:
			for k := range m.links {
				wanted[k] = wanted[k] || f.matcher()(k.from, k.to)
			}
		case Crash:
			for _, n := range f.Nodes {
				down[n] = true
			}
		case Stop:
			for _, n := range f.Nodes {
				down[n] = true
			}
		case Pause:
			for _, n := range f.Nodes {
				paused[n] = true
			}
		case Suspend:
			for _, n := range f.Nodes {
				suspended[n] = true
			}
		}
	}
	for k, s := range m.links {
		require.True(t, wanted[k] || !s.Cut, "%v is cut", k)
		require.NotEqual(t, k.from, k.to)
	}
	for n := range m.paused {
		require.True(t, paused[n], "%s is paused", n)
	}
	for n := range m.suspended {
		require.True(t, suspended[n], "%s is suspended", n)
	}
	for _, n := range []string{"a", "b", "c", "d"} {
		require.True(t, m.up[n] || down[n] || paused[n] || suspended[n], "%s is down", n)
	}
}
