package auth

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/clock"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/credentials"
	"github.com/taucloud/tau/transport/membership"
)

// stopped is a loop whose clocks stand where a test sets them.
type stopped struct {
	clock.Loop
	now     time.Time
	elapsed time.Duration
}

func (l *stopped) Now() time.Time         { return l.now }
func (l *stopped) Elapsed() time.Duration { return l.elapsed }

// A certificate is renewed after two thirds of its time and a share of the rest, or when it has ended; not
// again before some time has passed.
func TestWhenItIsTimeToRenew(t *testing.T) {
	const begins, lasts = 1_000_000, 3000
	for name, c := range map[string]struct {
		share        float64
		at           int64 // seconds since the certificate began
		renewAt, is  time.Duration
		none, issues bool
		issuerEndsAt int64
		want         bool
	}{
		"at its beginning":                  {},
		"before two thirds":                 {at: 1999},
		"after two thirds":                  {at: 2000, want: true},
		"before the share":                  {at: 2499, share: 0.5},
		"after the share":                   {at: 2500, share: 0.5, want: true},
		"in its last second":                {at: 3000, share: 0.5, want: true},
		"when it has ended":                 {at: 9000, want: true},
		"too soon after the last time":      {at: 2500, renewAt: 2, is: 1},
		"long enough after the last time":   {at: 2500, renewAt: 2, is: 2, want: true},
		"never, without one":                {at: 2500, none: true},
		"never, of an issuer":               {at: 2500, issues: true},
		"before two thirds of its issuer's": {at: 999, issuerEndsAt: 1500},
		"after two thirds of its issuer's":  {at: 1000, issuerEndsAt: 1500, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			loop := &stopped{now: time.Unix(begins+c.at, 0), elapsed: c.is}
			a := &agent{share: c.share, renewAt: c.renewAt}
			a.env.Loop = loop
			a.env.Authority = credentials.New(loop, guest, membership.NewTrust("c", deskCloud.Peer()))
			if !c.none {
				require.NoError(t, a.env.Authority.SetOwn(shownBy(t, begins, begins+lasts, c.issues, c.issuerEndsAt)))
			}
			require.Equal(t, c.want, a.due())
		})
	}
}

// shownBy is a certificate of the guest, by an issuer that ends some seconds after it begins, or by the cloud key.
func shownBy(t *testing.T, begins, ends int64, issues bool, issuerEnds int64) (p membership.Presented) {
	cert := membership.Certificate{Cloud: "c", Subject: guest, Name: "g", NotBefore: begins, NotAfter: ends}
	by := deskCloud
	if issues {
		cert.Issues = []string{"part"}
	}
	if issuerEnds > 0 {
		by = deskLater
		issuer, err := membership.Issue(deskCloud, membership.Certificate{
			Cloud: "c", Subject: deskLater.Peer(), Name: "i", Issues: []string{"part"}, NotBefore: begins, NotAfter: begins + issuerEnds,
		})
		require.NoError(t, err)
		p.Issuer = &issuer
	}
	var err error
	p.Certificate, err = membership.Issue(by, cert)
	require.NoError(t, err)
	return p
}

// asked is what a stand-in for an auth was asked, and what it answers.
type asked struct {
	*nodetest.Cloud
	at           []time.Time
	revocations  []authapi.RevocationsRequest
	renewals     []time.Time
	page         func(n int, r authapi.RevocationsRequest) (authapi.RevocationsResponse, error)
	certificate  func() (membership.Presented, error)
	auth, member *nodetest.Machine
	agent        *agent
}

// withAgent has one agent, and a stand-in for an auth that answers as the test says.
func withAgent(t *testing.T, every time.Duration, f func(w *asked)) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		c.Key = &deskCloud
		w := &asked{Cloud: c}
		w.auth = c.Add("auth", node.Configured{Spec: nodetest.Part(authapi.Service, w.serve)})
		w.auth.Start()
		w.member = c.Add("member", node.Configured{Spec: AgentSpec(), Settings: &AgentSettings{CheckEvery: every}})
		w.start()
		f(w)
	})
}

func (w *asked) serve(env node.Env) {
	authapi.Revocations.Serve(env.Wire, func(_ context.Context, _ transport.Peer, r authapi.RevocationsRequest) (authapi.RevocationsResponse, error) {
		w.at, w.revocations = append(w.at, time.Now()), append(w.revocations, r)
		if w.page == nil {
			return authapi.RevocationsResponse{Digest: []byte("d")}, nil
		}
		return w.page(len(w.revocations), r)
	})
	authapi.Renew.Serve(env.Wire, func(context.Context, transport.Peer, authapi.RenewRequest) (authapi.CertificateResponse, error) {
		w.renewals = append(w.renewals, time.Now())
		p, err := w.certificate()
		return authapi.CertificateResponse{Certificate: p}, err
	})
}

func (w *asked) start() {
	w.member.Start()
	w.agent = w.member.Service(node.MembershipService).(*agent)
}

func (w *asked) turn(f func(ctx context.Context)) {
	require.NoError(w, clock.Do(context.Background(), w.agent.env.Loop, f))
}

// The agent asks at its interval, and begins somewhere within the first.
func TestHowOftenAnAgentAsks(t *testing.T) {
	withAgent(t, time.Minute, func(w *asked) {
		began := time.Now()
		nodetest.Sleep(10 * time.Minute)
		require.Len(t, w.at, 10)
		require.Less(t, w.at[0].Sub(began), time.Minute)
		for n, at := range w.at[1:] {
			require.Equal(t, time.Minute, at.Sub(w.at[n]))
		}
		share := w.agent.share
		require.True(t, share >= 0 && share <= 0.5)
		w.member.Stop()
		w.auth.Stop()
		w.start()
		nodetest.Sleep(10 * time.Minute)
		require.Len(t, w.at, 10)
	})
	for seed := range uint64(20) { // of shares up to 1/2: the last third of the time is for those that fail at first
		a := &agent{}
		a.env.Rand = rand.New(rand.NewPCG(seed, 1))
		require.NoError(t, a.Start(context.Background()), "without a cloud it has nothing to do")
		require.Zero(t, a.share)
	}
}

// All pages are asked for, and again if something has changed meanwhile; what is known is not.
func TestHowRevocationsArePulled(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	r := func(n byte) membership.Revoking { return *statement(deskCloud, transport.Peer{n}, now) }
	type answer = authapi.RevocationsResponse
	type question = authapi.RevocationsRequest
	gone := transport.New(transport.Internal, "test", "as told")
	d1, d2 := []byte("one"), []byte("two")
	for name, c := range map[string]struct {
		answers []answer
		fail    int // which answer is an error
		want    []question
		known   []byte // subjects
	}{
		"nothing":  {[]answer{{Digest: d1}, {Digest: d1}}, 0, []question{{}, {Known: d1}}, nil},
		"one page": {[]answer{{Digest: d1, List: []membership.Revoking{r(1)}}, {Digest: d1}}, 0, []question{{}, {Known: d1}}, []byte{1}},
		"two pages": {[]answer{{Digest: d1, List: []membership.Revoking{r(1), r(2)}, More: true}, {Digest: d1, List: []membership.Revoking{r(3)}}, {Digest: d1}}, 0,
			[]question{{}, {After: 2}, {Known: d1}}, []byte{1, 2, 3}},
		"one that promises more and has none": {[]answer{{Digest: d1, More: true}, {Digest: d1}}, 0, []question{{}, {Known: d1}}, nil},
		"a change between two pages": {[]answer{{Digest: d1, List: []membership.Revoking{r(2)}, More: true}, {Digest: d2, List: []membership.Revoking{r(3)}}, {Digest: d2, List: []membership.Revoking{r(1), r(2), r(3)}}, {Digest: d2}}, 0,
			[]question{{}, {After: 1}, {Known: d1}, {Known: d2}}, []byte{2, 3, 1}},
		"an error on the second page": {[]answer{{Digest: d1, List: []membership.Revoking{r(1)}, More: true}, {}, {Digest: d1}}, 2, []question{{}, {After: 1}, {}}, []byte{1}},
		"what is known already":       {[]answer{{Digest: d1, List: []membership.Revoking{r(1), r(1)}}, {Digest: d2, List: []membership.Revoking{r(1)}}}, 0, []question{{}, {Known: d1}}, []byte{1}},
	} {
		t.Run(name, func(t *testing.T) {
			withAgent(t, time.Second, func(w *asked) {
				w.page = func(n int, _ question) (answer, error) {
					if n == c.fail {
						return answer{}, gone
					}
					return c.answers[min(n, len(c.answers))-1], nil
				}
				for range 30 {
					if len(w.revocations) >= len(c.want) {
						break
					}
					nodetest.Sleep(time.Second)
				}
				require.Equal(t, c.want, w.revocations)
				var known []byte
				for _, f := range w.Facts("revocation-known") {
					known = append(known, f.Fields["subject"].(transport.Peer)[0])
				}
				require.Equal(t, c.known, known)
				require.Len(t, w.agent.env.Authority.Revocations(), len(c.known))
			})
		})
	}
}

// Another auth is not asked for what the first one's digest says.
func TestAnotherAuthIsAskedForAll(t *testing.T) {
	withAgent(t, time.Second, func(w *asked) {
		nodetest.Sleep(2 * time.Second)
		first := len(w.revocations)
		require.Equal(t, []byte("d"), w.revocations[first-1].Known)
		other := w.Add("other", node.Configured{Spec: nodetest.Part(authapi.Service, w.serve)})
		other.Start()
		w.auth.Stop()
		nodetest.Sleep(time.Minute)
		require.Greater(t, len(w.revocations), first)
		require.Nil(t, w.revocations[first].Known)
		w.Directory.Add(w.auth.Peer())
		nodetest.Sleep(5 * time.Second)
		require.Equal(t, []byte("d"), w.revocations[len(w.revocations)-1].Known)
	})
}

// A renewal that fails is tried again after a pause; one that succeeds is shown, and told.
func TestRenewals(t *testing.T) {
	byHand := func(w *asked) {
		nodetest.Sleep(0) // it waits for its first round, within a second
		w.turn(func(context.Context) { w.agent.settings.CheckEvery = 10_000 * time.Hour })
	}
	withAgent(t, time.Second, func(w *asked) {
		byHand(w)
		fails := 3
		w.certificate = func() (p membership.Presented, err error) {
			if fails--; fails >= 0 {
				return p, transport.New(transport.Internal, "test", "as told")
			}
			now := time.Now().Unix()
			p.Certificate, err = membership.Issue(deskCloud, membership.Certificate{
				Cloud: nodetest.CloudName, Subject: w.member.Peer(), Name: "member", NotBefore: now, NotAfter: now + 30*3600,
			})
			return p, err
		}
		w.turn(w.agent.renew)
		require.Empty(t, w.renewals, "it is not time yet")
		nodetest.Sleep(20 * time.Hour)
		for range 100 {
			w.turn(w.agent.renew)
			nodetest.Sleep(time.Second)
		}
		require.Len(t, w.renewals, 4)
		for n, at := range w.renewals[1:] {
			require.Equal(t, renewAgain, at.Sub(w.renewals[n]))
		}
		require.Equal(t, 10*time.Second, renewAgain)
		require.Len(t, w.Facts("renewal-failed"), 3)
		require.Contains(t, w.Facts("renewal-failed")[0].Fields["error"], "as told")
		require.Len(t, w.Facts("certificate-renewed"), 1)
		_, c := w.agent.env.Authority.Own()
		require.Equal(t, w.renewals[3].Unix(), c.NotBefore)
		require.Equal(t, map[string]any{"until": c.NotAfter}, w.Facts("certificate-renewed")[0].Fields)
	})
	withAgent(t, time.Second, func(w *asked) {
		byHand(w)
		w.certificate = func() (p membership.Presented, err error) { // another's
			p.Certificate, err = membership.Issue(deskCloud, membership.Certificate{Cloud: nodetest.CloudName, Subject: guest, Name: "g", NotAfter: time.Now().Unix() + 9, NotBefore: time.Now().Unix()})
			return p, err
		}
		nodetest.Sleep(21 * time.Hour)
		w.turn(w.agent.renew)
		require.Len(t, w.renewals, 1)
		require.Empty(t, w.Facts("certificate-renewed"))
	})
}

// A certificate that ends before what is shown does not take its place.
func TestAShorterCertificateIsNotShown(t *testing.T) {
	withAgent(t, time.Second, func(w *asked) {
		nodetest.Sleep(0)
		w.turn(func(context.Context) { w.agent.settings.CheckEvery = 10_000 * time.Hour })
		_, before := w.agent.env.Authority.Own()
		for i, end := range []int64{before.NotAfter - 1, before.NotAfter - 9999, before.NotAfter + 1} {
			w.certificate = func() (p membership.Presented, err error) {
				now := time.Now().Unix()
				p.Certificate, err = membership.Issue(deskCloud, membership.Certificate{Cloud: nodetest.CloudName, Subject: w.member.Peer(), Name: "member", NotBefore: now, NotAfter: end})
				return p, err
			}
			if i == 0 {
				nodetest.Sleep(21 * time.Hour)
			}
			nodetest.Sleep(renewAgain)
			w.turn(w.agent.renew)
			require.Len(t, w.renewals, i+1)
			_, shown := w.agent.env.Authority.Own()
			require.Equal(t, max(before.NotAfter, end), shown.NotAfter)
		}
		require.Len(t, w.Facts("renewal-failed"), 2)
		require.Len(t, w.Facts("certificate-renewed"), 1)
	})
}

// What a node shows and knows is on its disk; what has not changed, or cannot be written, is tried no more or again.
func TestWhatIsKept(t *testing.T) {
	change := map[string]func(w *asked){
		"a certificate": func(w *asked) {
			_, c := w.agent.env.Authority.Own()
			c.NotBefore++
			signed, err := membership.Issue(deskCloud, c)
			require.NoError(w, err)
			require.NoError(w, w.agent.env.Authority.SetOwn(membership.Presented{Certificate: signed}))
		},
		"a rotation": func(w *asked) {
			_, err := w.agent.env.Authority.Rotate(membership.Rotate(deskCloud, membership.Rotation{Cloud: nodetest.CloudName, To: deskLater.Peer(), Until: time.Now().Unix() + 99999}))
			require.NoError(w, err)
		},
		"revocations": func(w *asked) {
			for n := range byte(3) {
				_, err := w.agent.env.Authority.Revoke(*statement(deskCloud, transport.Peer{n + 1}, time.Now().Unix()))
				require.NoError(w, err)
			}
		},
	}
	// state is what a node shows and knows.
	state := func(w *asked) []any {
		a := w.agent.env.Authority
		_, c := a.Own()
		return []any{c, len(a.Rotations()), a.Digest()}
	}
	for name, act := range change {
		for _, how := range []string{"at once", "when the disk writes again", "when there is time to flush"} {
			t.Run(name+" "+how, func(t *testing.T) {
				withAgent(t, time.Minute, func(w *asked) {
					w.turn(w.agent.keep)
					writes, flushes, broken := 0, 0, false
					w.member.Disk.SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, _ string) error {
						switch {
						case op == memdisk.OpWrite && broken:
							return context.DeadlineExceeded
						case op == memdisk.OpWrite:
							writes++
						case op == memdisk.OpFlush:
							flushes++
						}
						return nil
					}})
					w.turn(w.agent.keep)
					require.Zero(t, writes+flushes, "nothing has changed")
					w.turn(func(context.Context) { act(w) })
					switch want := map[string]int{"revocations": 3}[name]; how {
					case "at once":
						w.turn(w.agent.keep)
						require.Equal(t, max(want, 1), writes)
						require.Equal(t, 1, flushes)
						if name == "revocations" { // of several, only those are written that are new
							_, err := w.agent.env.Authority.Revoke(*statement(deskCloud, transport.Peer{9}, time.Now().Unix()))
							require.NoError(t, err)
							w.turn(w.agent.keep)
							require.Equal(t, 4, writes)
						}
					case "when the disk writes again":
						broken = true
						w.turn(w.agent.keep)
						require.Zero(t, flushes, "there is nothing to flush")
						broken = false
						w.turn(w.agent.keep)
						require.Equal(t, max(want, 1), writes)
					default:
						w.turn(func(ctx context.Context) { w.agent.keep(over(ctx)) })
						before := flushes
						w.turn(w.agent.keep)
						require.Equal(t, before+1, flushes)
					}
					before := writes + flushes
					w.turn(w.agent.keep)
					require.Equal(t, before, writes+flushes, "nothing has changed since")
					want := state(w)
					w.member.Disk.SetFaults(memdisk.Faults{})
					w.member.Vanish()
					w.start()
					require.Equal(t, want, state(w), "it is on the disk")
				})
			})
		}
	}
}

// Stopping flushes what was written last.
func TestAnAgentThatStopsFlushes(t *testing.T) {
	withAgent(t, time.Minute, func(w *asked) {
		flushes := 0
		w.member.Disk.SetFaults(memdisk.Faults{Fail: func(op memdisk.Op, _ string) error {
			if op == memdisk.OpFlush {
				flushes++
			}
			return nil
		}})
		w.turn(func(ctx context.Context) { require.NoError(t, w.agent.Stop(ctx)) })
		require.Equal(t, 1, flushes)
	})
}
