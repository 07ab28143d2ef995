package replicated

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/stretchr/testify/require"

	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/storage/internal/clustertest"
	"github.com/taucloud/tau/storage/internal/ondisk"
	"github.com/taucloud/tau/storage/internal/pacing"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
)

func noAnswer(fetchRequest) (fetchResponse, error) { return fetchResponse{}, nil }

// TestReplicateTakesTheTurnsWritesAlong, and says when they cannot be kept here.
func TestReplicateTakesTheTurnsWritesAlong(t *testing.T) {
	inCluster(t, 2, func(c *cluster) {
		m, other := c.members[0], c.members[1]
		var got []pushRequest
		other.keeps(func(request pushRequest) error { got = append(got, request); return nil })
		other.answers(noAnswer)
		m.open()
		m.In(func(ctx context.Context) {
			require.NoError(t, storage.Put(m.r, "/k", []byte("v")))
			n, err := m.r.Replicate(ctx, 2)
			require.NoError(t, err)
			require.Equal(t, 2, n)
			require.Len(t, got, 1)
			require.Equal(t, m.r.encodedHeads(), got[0].Heads)
			require.Len(t, got[0].Deltas, 1)
			for op, broken := range map[memdisk.Op]error{memdisk.OpFlush: errors.New("no flush"), memdisk.OpWrite: errors.New("no write")} {
				m.Disk.SetFaults(memdisk.Faults{Fail: func(o memdisk.Op, _ string) error {
					if o == op {
						return broken
					}
					return nil
				}})
				require.NoError(t, storage.Put(m.r, "/k", []byte(op)))
				n, err = m.r.Replicate(ctx, 2)
				require.ErrorIs(t, err, broken)
				require.Zero(t, n)
				require.ErrorIs(t, m.r.Sync(ctx), broken)
				_, err = m.r.onPush(ctx, other.Peer, got[0])
				require.ErrorIs(t, err, broken, "what is not durable is not acknowledged")
				m.Disk.SetFaults(memdisk.Faults{})
				require.NoError(t, m.r.Sync(ctx))
			}
			require.Len(t, got, 1, "nothing was sent that is not here")
			require.NoError(t, m.r.Close())
			_, err = m.r.Replicate(ctx, 2)
			require.ErrorIs(t, err, clock.ErrStopped)
			require.ErrorIs(t, m.r.take(nil), clock.ErrStopped)
		})
	})
}

// TestSparesAreBounded: as many as are needed, and some more.
func TestSparesAreBounded(t *testing.T) {
	const others = pushSparesMax + 4
	inCluster(t, 1+others, func(c *cluster) {
		asked := 0
		for _, other := range c.members[1:] {
			other.keeps(func(pushRequest) error { asked++; return transport.New(transport.Refused, "test", "no") })
			other.answers(noAnswer)
		}
		m := c.members[0]
		m.open()
		for copies, want := range map[int]int{2: 1 + pushSparesMax, 3: 2 + pushSparesMax, 1: 0} {
			asked = 0
			n, _ := m.replicate(copies)
			require.Equal(t, []int{1, want}, []int{n, asked})
		}
	})
}

// TestAPushHasTheTimeThatItsBytesTake.
func TestAPushHasTheTimeThatItsBytesTake(t *testing.T) {
	inCluster(t, 2, func(c *cluster) {
		m, other := c.members[0], c.members[1]
		other.keeps(func(pushRequest) error { return clustertest.ErrSilent })
		other.answers(noAnswer)
		m.open()
		for _, size := range []int{1, 5 * pushRate} {
			m.put("k", strings.Repeat("v", size))
			n, took := m.replicate(2)
			require.Equal(t, 1, n)
			require.InDelta(t, (pushTimeout + time.Duration(size)*time.Second/pushRate).Seconds(), took.Seconds(), 0.1)
		}
	})
}

// TestBoundsOfWhatIsSentUnasked: deltas with a push, deltas as news, and heads.
func TestBoundsOfWhatIsSentUnasked(t *testing.T) {
	inCluster(t, 2, func(c *cluster) {
		m, other := c.members[0], c.members[1]
		m.open()
		var news []newsNote
		topic := transport.Topic[newsNote]{Name: "test/kv/main", Rule: transport.Member}
		topic.Subscribe(other.Endpoint, func(_ context.Context, _ transport.Peer, n newsNote) { news = append(news, n) })
		m.put("k", "v")
		time.Sleep(time.Millisecond)
		news = nil
		m.In(func(context.Context) {
			stub := m.r.replica.index.tail.get(m.r.replica.index.headList()[0].dot)
			size := stub.size
			for s, want := range map[int]int{pushSizeMax: 1, pushSizeMax + 1: 0} {
				stub.size = s
				require.Len(t, m.r.pushRequest().Deltas, want)
			}
			stub.size = size
			m.r.publish(&delta{raw: make([]byte, newsSizeMax)})
			m.r.publish(&delta{raw: make([]byte, newsSizeMax+1)})
		})
		time.Sleep(time.Millisecond)
		require.Len(t, news, 2)
		require.Equal(t, []int{newsSizeMax, 0}, []int{len(news[0].Delta), len(news[0].Heads)})
		require.Equal(t, []int{0, 1}, []int{len(news[1].Delta), len(news[1].Heads)})
		m.In(func(context.Context) {
			o := m.r.replica.index
			for i := range headsLenMax {
				h := newHead(cidFor(fmt.Sprint(i)), deltaID(cidFor(fmt.Sprint(i))), dot{uint64(i + 1), 1}, 1)
				o.heads[h.id] = h
			}
			require.Len(t, o.headList(), headsLenMax+1)
			// Of several, as many as fit together.
			known := o.headList()[0]
			for _, h := range o.headList() {
				if s := o.tail.get(h.dot); s != nil {
					known = h
				}
			}
			for i := range 3 {
				c := cidFor(fmt.Sprint("again", i))
				o.heads[deltaID(c)] = newHead(c, deltaID(c), known.dot, 1)
			}
			for size, want := range map[int]int{1: 4, pushSizeMax / 3: 3, pushSizeMax / 2: 2, pushSizeMax/2 + 1: 1} {
				o.tail.get(known.dot).size = size
				require.Len(t, m.r.pushRequest().Deltas, want, "%d bytes", size)
			}
			require.Len(t, m.r.encodedHeads(), headsLenMax)
		})
	})
}

// TestAReplicaWithOneRescuedKey asks before it writes that again.
func TestAReplicaWithOneRescuedKey(t *testing.T) {
	inCluster(t, 2, func(c *cluster) {
		m, other := c.members[0], c.members[1]
		other.answers(noAnswer)
		m.open()
		m.put("1", "v")
		m.put("2", "v")
		m.In(func(ctx context.Context) {
			require.NoError(t, m.r.Sync(ctx))
			require.NoError(t, m.r.Close())
		})
		m.End()
		damages["missing"](t, m.Disk, storage.K("kv", "test", "main")+diskKeys+"/a"+storage.K("k", "1"), nil)
		damages["missing"](t, m.Disk, storage.K("kv", "test", "main")+storage.Key(diskDeltas)+storage.Key(m.r.replica.index.tail.lanes[m.r.replica.writer][0].id), nil)
		m.Boot()
		m.open()
		require.Equal(t, []string{"/k/2=v"}, m.contents())
		require.Equal(t, 1, c.fact("replica-damaged"))
		require.Equal(t, 1, c.fact("replica-rescued"))
		require.Empty(t, m.r.replica.recovered)
	})
}

// TestWhoeverHasBegunToSendIsAskedFirst, in each try, of which each brings a page.
func TestWhoeverHasBegunToSendIsAskedFirst(t *testing.T) {
	source, _ := sourceOf(t)
	defer source.close()
	inCluster(t, 4, func(c *cluster) {
		m := c.members[0]
		f := source.freeze(9)
		var served []transport.Peer
		last, done := time.Time{}, false
		for _, other := range c.members[1:] {
			other.answers(func(request fetchRequest) (fetchResponse, error) {
				if request.SizeMax == 0 {
					return fetchResponse{More: true}, nil
				}
				if done {
					return fetchResponse{}, nil
				}
				if time.Since(last) < 100*time.Millisecond { // a try takes no time
					return fetchResponse{}, transport.New(transport.Refused, "test", "not now")
				}
				served, last = append(served, other.Peer), time.Now()
				p := &foldPage{ID: f.id}
				if request.Fold != nil {
					p.At = request.Fold.At
				}
				p.Bytes, p.Next, done = f.page(p.At, 200)
				p.Done = done
				return fetchResponse{Fold: p}, nil
			})
		}
		_, err := m.tryOpen()
		require.NoError(t, err)
		require.Len(t, m.contents(), 4)
		require.Greater(t, len(served), 20)
		require.Equal(t, slices.Repeat(served[:1], len(served)), served)
	})
}

// TestPullsAreQueued once each, and so many at most.
func TestPullsAreQueued(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		m := c.members[0]
		m.open()
		m.In(func(context.Context) {
			peer := func(i int) transport.Peer { return transport.Peer{9, byte(i)} }
			m.r.pulling = true // so that nobody begins
			for range 2 {
				m.r.pullLater(lag{from: peer(0)})
				m.r.pullLater(lag{from: peer(0), rumour: true})
				m.r.pullLater(lag{from: peer(0), whole: true})
			}
			require.Equal(t, []lag{{from: peer(0)}, {from: peer(0), whole: true}}, m.r.lagging)
			for i := range laggingLenMax {
				m.r.pullLater(lag{from: peer(1 + i)})
			}
			require.Len(t, m.r.lagging, laggingLenMax)
			m.r.lagging, m.r.pulling = nil, false
		})
	})
}

// TestRumoursAreSpread when they were new, and only then.
func TestRumoursAreSpread(t *testing.T) {
	source, raws := sourceOf(t)
	defer source.close()
	for name, x := range map[string]struct {
		lag    lag
		raws   [][]byte
		refuse bool
		told   int
	}{
		"news": {lag{rumour: true}, raws, false, rumoursLen}, "nothing new": {lag{rumour: true}, nil, false, 0},
		"no rumour": {lag{}, raws, false, 0}, "it fails": {lag{rumour: true}, raws, true, 0},
	} {
		inCluster(t, 5, func(c *cluster) {
			m, told := c.members[0], 0
			for _, other := range c.members[1:] {
				heads := transport.Note[headsNote]{Name: "test/kv/main/heads", Rule: transport.Member}
				heads.Serve(other.Endpoint, func(context.Context, transport.Peer, headsNote) { told++ })
				other.answers(noAnswer)
			}
			m.open()
			for _, other := range c.members[1:] {
				other.answers(func(fetchRequest) (fetchResponse, error) {
					if x.refuse {
						return fetchResponse{}, transport.New(transport.Refused, "test", "no")
					}
					return fetchResponse{Deltas: x.raws}, nil
				})
			}
			x.lag.from = c.members[1].Peer
			m.In(func(context.Context) { m.r.pullLater(x.lag) })
			time.Sleep(time.Millisecond)
			require.Equal(t, x.told, told, name)
			require.False(t, m.r.pulling)
		})
	}
}

// TestHowMuchIsServedAtOnce, whatever is asked for.
func TestHowMuchIsServedAtOnce(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		m := c.members[0]
		m.open()
		for i := range 3 {
			m.put(fmt.Sprint(i), strings.Repeat("v", pacing.Max/2+1))
		}
		have := newVector()
		have.add(dot{1, 1})
		response, err := m.fetch(fetchRequest{Have: have.encode(), SizeMax: 1 << 40})
		require.NoError(t, err)
		require.Len(t, response.Deltas, 1)
		require.True(t, response.More)
		response, err = m.fetch(fetchRequest{SizeMax: 1 << 40})
		require.NoError(t, err)
		require.Len(t, response.Fold.Bytes, foldPageMax)
		m.In(func(context.Context) {
			d, err := m.r.replica.block(m.r.replica.index.tail.lanes[m.r.replica.writer][0])
			require.NoError(t, err)
			for offset, want := range map[int]int{0: 0, 1: 1, len(d.raw) - 1: len(d.raw) - 1, len(d.raw): 0, -1: 0} {
				p := partOf(d, &partCursor{CID: d.cid.Bytes(), Offset: offset}, 100)
				require.Equal(t, []int{want, min(100, len(d.raw)-want), len(d.raw)}, []int{p.Offset, len(p.Bytes), p.Size})
			}
		})
	})
}

// TestPacesFollowTheAnswers: a page that never comes makes the next one smaller, a refusal does not.
func TestPacesFollowTheAnswers(t *testing.T) {
	for name, x := range map[string]struct {
		err  error
		want int
	}{
		"silent": {clustertest.ErrSilent, pacing.First / 4}, "refused": {transport.New(transport.Refused, "test", "no"), pacing.First},
	} {
		inCluster(t, 2, func(c *cluster) {
			m, other := c.members[0], c.members[1]
			other.answers(noAnswer)
			m.open()
			other.answers(func(fetchRequest) (fetchResponse, error) { return fetchResponse{}, x.err })
			m.In(func(ctx context.Context) {
				start, progress := m.Loop.Elapsed(), m.r.progress
				require.Error(t, m.r.pull(ctx, other.Peer))
				require.Equal(t, x.want, m.r.paces.Of(other.Peer).Size, name)
				require.Equal(t, progress, m.r.progress)
				if x.err == clustertest.ErrSilent {
					require.InDelta(t, pacing.Patience.Seconds(), (m.Loop.Elapsed() - start).Seconds(), 0.5)
				}
			})
		})
	}
	r := fetchResponse{Deltas: [][]byte{{1}, {2, 3}}, Part: &partPage{Bytes: []byte{1}}, Fold: &foldPage{Bytes: []byte{1, 2, 3, 4}}}
	require.Equal(t, 8, r.size())
}

// TestVerdictsAtTheEndOfAGrace.
func TestVerdictsAtTheEndOfAGrace(t *testing.T) {
	for _, x := range []struct {
		answer answer
		passed time.Duration
		want   verdict
	}{
		{answerNone, silentGrace - 1, verdictWait}, {answerNone, silentGrace, verdictReady},
		{answerSilent, openGrace - 1, verdictWait}, {answerSilent, openGrace, verdictReady},
		{answerAbsent, openGrace - 1, verdictWait}, {answerAbsent, openGrace, verdictReady},
	} {
		s := &survey{known: true, members: members(1), asked: map[transport.Peer]answer{}}
		s.note(s.members[0], x.answer, 7)
		require.Zero(t, s.heard, "it has reported nothing")
		require.Equal(t, x.want, s.verdict(x.passed, openGrace), "%+v", x)
	}
	s := &survey{known: true, members: members(3), asked: map[transport.Peer]answer{}}
	s.note(s.members[0], answerFound, 7)
	require.Equal(t, time.Duration(7), s.heard)
	s.note(s.members[0], answerHas, 8)
	require.Equal(t, time.Duration(8), s.heard)
	require.Equal(t, s.members[:1], s.whoHave())
	require.Equal(t, verdictPull, s.verdict(0, openGrace))
	s.note(s.members[0], answerAbsent, 9)
	require.Equal(t, verdictWait, s.verdict(time.Hour, openGrace), "two were not asked yet")
}

// TestWritesOfThisTurnAreSeen, and the caller owns what it reads.
func TestWritesOfThisTurnAreSeen(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		m := c.members[0]
		m.open()
		m.In(func(context.Context) {
			for _, k := range []storage.Key{"/k/a", "/k/b", "/l"} {
				require.NoError(t, storage.Put(m.r, k, []byte("old")))
			}
			require.NoError(t, m.r.commit())
			require.NoError(t, m.r.Apply(new(storage.Batch).Put("/k/0", []byte("new")).Put("/k/b", []byte("new")).Delete("/k/a").Delete("/k/none")))
			for k, want := range map[storage.Key]string{"/k/0": "new", "/k/a": "", "/k/b": "new", "/l": "old", "/none": "", "/k/none": ""} {
				for range 2 {
					value, err := m.r.Get(k)
					require.Equal(t, want, string(value), k)
					if want == "" {
						require.Equal(t, storage.ErrNotFound, err)
						continue
					}
					require.NoError(t, err)
					value[0] = 'x'
				}
			}
			for prefix, want := range map[storage.Key]string{"": "/k/0=new /k/b=new /l=old", "/": "/k/0=new /k/b=new /l=old", "/k": "/k/0=new /k/b=new", "/l": "/l=old", "/x": ""} {
				for range 2 {
					var got []string
					for _, e := range m.r.Entries(prefix) {
						got = append(got, fmt.Sprintf("%s=%s", e.Key, e.Value))
						e.Value[0] = 'x'
					}
					require.Equal(t, want, strings.Join(got, " "), prefix)
				}
			}
			require.Panics(t, func() { _, _ = m.r.Get("k") })
		})
	})
}

// TestWatchesEnd, also while they are told.
func TestWatchesEnd(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		m, told := c.members[0], []string{}
		m.open()
		m.In(func(context.Context) {
			var stop func()
			stop = m.r.Watch("/k", func(k storage.Key) { told = append(told, "first "+string(k)); stop() })
			m.r.Watch("/k/b", func(k storage.Key) { told = append(told, "second "+string(k)) })
			for _, k := range []storage.Key{"/k/b", "/k/a", "/kb"} {
				require.NoError(t, storage.Put(m.r, k, nil))
			}
		})
		time.Sleep(time.Millisecond)
		m.put("b", "")
		time.Sleep(time.Millisecond)
		require.Equal(t, []string{"first /k/a", "second /k/b", "second /k/b"}, told)
		require.Len(t, m.r.watchers, 1)
	})
}

// TestWhatAJoinChangesIsTold: the keys that have other elements afterwards, and those that the
// replica has written meanwhile.
func TestWhatAJoinChangesIsTold(t *testing.T) {
	r, other := newReplica(t, memdisk.New()), newReplica(t, memdisk.New())
	defer r.close()
	defer other.close()
	for _, k := range []storage.Key{"/mine", "/both", "/same"} {
		_, err := r.commit(put(k, "r"))
		require.NoError(t, err)
	}
	other.pullFrom(t, r, 1<<20)
	for _, k := range []storage.Key{"/theirs", "/both", "/late"} {
		_, err := other.commit(put(k, "o"))
		require.NoError(t, err)
	}
	_, err := other.commit(writesOf(storage.Write{Key: "/mine", Delete: true}))
	require.NoError(t, err)
	r.index.takeChanged()
	written := false
	r.between = func() {
		if !written {
			written = true
			for _, k := range []storage.Key{"/late", "/own"} {
				_, err := r.commit(put(k, "r"))
				require.NoError(t, err)
			}
			r.index.takeChanged()
		}
	}
	r.joinFold(t, other.freeze(1), 1<<20, false)
	changed := r.index.takeChanged()
	slices.Sort(changed)
	changed = slices.Compact(changed)
	require.Equal(t, []storage.Key{"/both", "/late", "/mine", "/theirs"}, changed)
	require.Equal(t, map[storage.Key]string{"/both": "o", "/late": r.contents()["/late"], "/own": "r", "/same": "r", "/theirs": "o"}, r.contents())
	require.Len(t, r.index.record("/late"), 2, "both wrote it")
	stillOnDisk(t, r, r.index.disk.(*memdisk.Disk))
}

// TestElementsOutsideOfTheirContext are of no fold, nor are keys that are none.
func TestElementsOutsideOfTheirContext(t *testing.T) {
	r := newReplica(t, memdisk.New())
	defer r.close()
	_, err := r.commit(put("/k/a", "v"))
	require.NoError(t, err)
	e := r.index.record("/k/a")[0]
	item := func(key string, e *element) []byte { return e.encode(appendBytes(nil, key)) }
	take := func(raw []byte) error {
		sink := &foldSink{vector: r.index.vector, len: 1}
		return sink.takeElement(raw)
	}
	require.NoError(t, take(item("/k/a", e)))
	for _, key := range []string{"", "k", dotKey, "/\xff", "/k/"} {
		require.ErrorIs(t, take(item(key, e)), storage.ErrCorrupt, key)
	}
	later, other := *e, *e
	later.dot.seq++
	other.dot.writer++
	require.ErrorIs(t, take(item("/k/a", &later)), storage.ErrCorrupt)
	require.ErrorIs(t, take(item("/k/a", &other)), storage.ErrCorrupt)
	h := &head{id: deltaID(cidFor("x")), dot: later.dot, height: 1}
	header := append(append(appendBytes(nil, r.index.vector.encode()), 1), h.encode()...)
	require.ErrorIs(t, (&foldSink{}).takeHeader(append(header, make([]byte, 9)...)), storage.ErrCorrupt)
}

// TestAJoinThatIsGivenUp leaves nothing behind, and may be repeated.
func TestAJoinThatIsGivenUp(t *testing.T) {
	disk := memdisk.New()
	r, other := newReplica(t, disk), newReplica(t, memdisk.New())
	defer r.close()
	defer other.close()
	_, err := r.commit(put("/mine", "v"))
	require.NoError(t, err)
	_, err = other.commit(put("/theirs", "v"))
	require.NoError(t, err)
	sink := &foldSink{}
	raw, _, _ := other.freeze(1).page(foldCursor{}, 1<<20)
	require.NoError(t, sink.take(raw))
	before, enough := diskKeysOf(t, disk), errors.New("enough")
	refused := true
	require.ErrorIs(t, r.join(sink, false, func() error {
		if refused {
			refused = false
			return enough
		}
		return nil
	}), enough)
	require.Equal(t, before, diskKeysOf(t, disk))
	require.Nil(t, r.index.touched)
	require.Equal(t, map[storage.Key]string{"/mine": "v"}, r.contents())
	require.NoError(t, r.join(sink, false, noPause))
	require.Equal(t, map[storage.Key]string{"/mine": "v", "/theirs": "v"}, r.contents())
	stillOnDisk(t, r, disk)
	writes := disk.Writes()
	require.NoError(t, r.join(sink, false, noPause))
	require.Equal(t, writes, disk.Writes(), "it was joined")
}

// TestWhatIsMergedAloneIsRemembered, so that other replicas need not.
func TestWhatIsMergedAloneIsRemembered(t *testing.T) {
	source := newReplica(t, memdisk.New())
	defer source.close()
	var list []*delta
	for i := range 3 {
		d, err := source.commit(put("/k", fmt.Sprint(i)))
		require.NoError(t, err)
		require.Len(t, d.recalled(), 1)
		d.outcomes = nil
		list = append(list, d)
	}
	r := newReplica(t, memdisk.New())
	defer r.close()
	require.NoError(t, r.ingest([][]byte{list[0].raw}))
	require.Len(t, list[0].recalled(), 1)
	require.NoError(t, r.ingest([][]byte{list[1].raw, list[2].raw}))
	require.Empty(t, list[1].recalled(), "two at once are no outcome of one")
	require.NoError(t, r.ingest([][]byte{list[1].raw}), "it is here")
}

// TestSealedGarbageIsDamage, wherever it lies.
func TestSealedGarbageIsDamage(t *testing.T) {
	disk := memdisk.New()
	r := newReplica(t, disk)
	for _, key := range []string{"0", "0", "1", "2", "3"} {
		_, err := r.commit(put(storage.K("k", key), "v"))
		require.NoError(t, err)
	}
	require.True(t, r.index.prune(4, 1<<20))
	require.NoError(t, r.save())
	whole := r.contents()
	r.close()
	at := storage.K("kv", "test")
	garbage := func(k storage.Key) []byte { return ondisk.Seal(string(k), []byte{7}) }
	keys := append(diskKeysOf(t, disk), at+diskKeys+"/a/new", at+diskKeys+"/b/new", at+diskRecovered+"/new", at+"/unknown/thing", at+diskCut+"/nonsense", at+diskHeads+"/x")
	for _, k := range keys {
		damaged := disk.Clone()
		require.NoError(t, damaged.Put(context.Background(), datastore.RawKey(string(k)), garbage(k)))
		f, err := readReplica(damaged, at, noPause)
		require.NoError(t, err)
		require.True(t, f.damaged, k)
		require.Equal(t, strings.HasPrefix(string(k), string(at+diskKeys+"/")), len(f.corrupt) == 1, k)
		r := newReplica(t, damaged)
		require.True(t, r.isEmpty(), k)
		require.NoError(t, r.restore(noPause))
		require.Equal(t, whole, r.contents(), k)
		stillOnDisk(t, r, damaged)
		r.close()
	}
}

// TestAPauseEndsWithTheReplica, so that whoever pauses does.
func TestAPauseEndsWithTheReplica(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		m := c.members[0]
		m.open()
		m.In(func(context.Context) {
			require.NoError(t, m.r.pause())
			require.NoError(t, m.r.Close())
			require.ErrorIs(t, m.r.pause(), clock.ErrStopped)
		})
	})
}

// TestNamesOfWriters: any but 0, which says that there is none.
func TestNamesOfWriters(t *testing.T) {
	for drawn, want := range map[uint64]uint64{0: 1, 1: 1, 2: 2, 1 << 63: 1 << 63} {
		r, err := openReplica(memdisk.New(), "/kv/test", func() uint64 { return drawn }, noPause)
		require.NoError(t, err)
		_, err = r.commit(put("/k", "v"))
		require.NoError(t, err)
		require.Equal(t, want, r.writer)
		r.close()
	}
}

// TestAnswersThatFailedCallsAmountTo.
func TestAnswersThatFailedCallsAmountTo(t *testing.T) {
	for kind := transport.Internal; kind <= transport.NotAllowed; kind++ {
		want := answerAbsent
		if kind == transport.Timeout {
			want = answerSilent
		}
		require.Equal(t, want, answerOf(transport.New(kind, "", "")), "%v", kind)
	}
}
