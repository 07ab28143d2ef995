package auth_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/nodetest"
	"github.com/taucloud/tau/services/auth"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/storage/memdisk"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

var (
	cloudKey = transport.NewIdentity([]byte("cloud"))
	laterKey = transport.NewIdentity([]byte("later"))
)

// town is a cloud with some auths.
type town struct {
	*nodetest.Cloud
	t     *testing.T
	auths []*nodetest.Machine
	// agents are the settings of all agents.
	agents *auth.AgentSettings
	envs   map[string]node.Env
	heard  map[string]int
}

func inTown(t *testing.T, auths int, f func(w *town)) {
	inTownOf(t, auths, auth.DefaultAgentSettings(), f)
}

func inTownOf(t *testing.T, auths int, agents *auth.AgentSettings, f func(w *town)) {
	nodetest.Run(t, func(c *nodetest.Cloud) {
		c.Key, c.Issuer, c.Grantable = &cloudKey, authapi.Service, []string{node.MembershipService, "monkey", "part", "patrick"}
		w := &town{Cloud: c, t: t, agents: agents, envs: map[string]node.Env{}, heard: map[string]int{}}
		settings := auth.DefaultSettings()
		settings.Lifetime, settings.RenewGrace = 2*time.Hour, 4*time.Hour
		for i := range auths {
			name := "auth-" + string(rune('1'+i))
			w.auths = append(w.auths, w.member(name, node.Configured{Spec: auth.Spec(auth.Ends{}), Settings: settings}))
		}
		for _, m := range w.auths {
			m.Start()
		}
		f(w)
	})
}

// member adds a node with the agent, and a part that serves and calls.
func (w *town) member(name string, services ...node.Configured) *nodetest.Machine {
	part := nodetest.Part("part", func(env node.Env) {
		w.envs[name] = env
		env.Wire.Handle("part/greet", transport.Member, func(context.Context, transport.Peer, []byte) ([]byte, error) {
			w.heard[name]++
			return nil, nil
		})
	})
	services = append(services, node.Configured{Spec: part}, node.Configured{Spec: auth.AgentSpec(), Settings: w.agents})
	return w.Add(name, services...)
}

// do runs f as a task of a machine's part.
func (w *town) do(m *nodetest.Machine, f func(ctx context.Context, env node.Env)) {
	env := w.envs[m.Name]
	done := make(chan struct{})
	env.Loop.Go("test", func(ctx context.Context) {
		defer close(done)
		f(ctx, env)
	})
	<-done
}

func (w *town) greet(from, to *nodetest.Machine) (err error) {
	w.do(from, func(ctx context.Context, env node.Env) { _, err = env.Wire.Call(ctx, to.Peer(), "part/greet", nil) })
	return err
}

func (w *town) revoke(by, subject *nodetest.Machine) (copies int) {
	w.do(by, func(ctx context.Context, env node.Env) {
		var err error
		copies, err = authapi.NewClient(env.Wire).Revoke(ctx, subject.Peer())
		require.NoError(w.t, err)
	})
	return copies
}

// TestARevocationReachesEverybody within 5 s, and stays known over restarts and old disks.
func TestARevocationReachesEverybody(t *testing.T) {
	inTown(t, 2, func(w *town) {
		a, b, bad := w.member("a").Start(), w.member("b").Start(), w.member("bad").Start()
		nodetest.Sleep(10 * time.Second)
		for _, m := range []*nodetest.Machine{a, b} {
			require.NoError(t, w.greet(bad, m))
		}
		old := memdisk.New()
		b.Stop()
		fresh := b.Disk
		require.Equal(t, 2, w.revoke(w.auths[0], bad))
		nodetest.Sleep(5 * time.Second)
		for _, m := range []*nodetest.Machine{a, w.auths[0], w.auths[1]} {
			require.Equal(t, transport.NotAllowed, transport.KindOf(w.greet(bad, m)), m.Name)
		}
		b.Disk = fresh
		b.Start()
		nodetest.Sleep(5 * time.Second)
		require.Equal(t, transport.NotAllowed, transport.KindOf(w.greet(bad, b)), "it was away")
		for _, m := range w.auths {
			m.Stop()
		}
		b.Vanish()
		b.Start()
		require.Equal(t, transport.NotAllowed, transport.KindOf(w.greet(bad, b)), "it is on its disk")
		for _, m := range w.auths {
			m.Start()
		}
		b.Stop()
		b.Disk = old
		b.Start()
		nodetest.Sleep(5 * time.Second)
		require.Equal(t, transport.NotAllowed, transport.KindOf(w.greet(bad, b)), "its disk is that of before")
		bad.Stop()
		bad.Disk = memdisk.New()
		bad.Start()
		nodetest.Sleep(20 * time.Second)
		require.Equal(t, transport.NotAllowed, transport.KindOf(w.greet(bad, a)), "it gets no other certificate")
	})
}

// TestRenewal in time, without another conn, and after an end that was not noticed.
func TestRenewal(t *testing.T) {
	inTownOf(t, 1, &auth.AgentSettings{CheckEvery: time.Minute}, func(w *town) {
		six := func(name string) *nodetest.Machine { // hours, so that what is renewed ends no sooner
			m := w.member(name)
			signed, err := membership.Issue(cloudKey, membership.Certificate{
				Cloud: nodetest.CloudName, Serial: 9, Subject: m.Peer(), Name: m.Name, Services: []string{node.MembershipService, "part"},
				NotBefore: time.Now().Unix(), NotAfter: time.Now().Add(6 * time.Hour).Unix(),
			})
			require.NoError(t, err)
			m.Membership.Certificate = &membership.Presented{Certificate: signed}
			return m.Start()
		}
		a, b := six("a"), six("b")
		require.NoError(t, w.greet(a, b))
		for range 40 {
			nodetest.Sleep(time.Hour)
			if len(w.Facts("certificate-renewed")) == 2 {
				break
			}
			require.NoError(t, w.greet(a, b))
		}
		require.Len(t, w.Facts("certificate-renewed"), 2)
		require.NoError(t, w.greet(a, b))
		_, c := w.envs["a"].Authority.Own()
		require.Less(t, c.NotAfter-c.NotBefore, int64(7200+301), "as long as the auth's setting says")
		a.Stop()
		nodetest.Sleep(3 * time.Hour)
		a.Start()
		_, kept := w.envs["a"].Authority.Own()
		require.Equal(t, c, kept, "it is on the disk")
		require.Equal(t, transport.NotAllowed, transport.KindOf(w.greet(a, b)))
		nodetest.Sleep(2 * time.Minute)
		require.NoError(t, w.greet(a, b), "within the grace")
		a.Stop()
		nodetest.Sleep(8 * time.Hour)
		a.Start()
		nodetest.Sleep(2 * time.Minute)
		require.Equal(t, transport.NotAllowed, transport.KindOf(w.greet(a, b)), "after the grace")
	})
}

// TestOldCertificatesAreNotRenewed, whatever the grace: who has one may have been revoked so long ago that it is forgotten.
func TestOldCertificatesAreNotRenewed(t *testing.T) {
	inTown(t, 1, func(w *town) {
		for age, renewed := range map[time.Duration]bool{
			membership.ValidityMax - time.Hour:   true,
			membership.ValidityMax - time.Second: false,
		} {
			m := w.member(age.String())
			ended := time.Now().Add(-time.Hour)
			signed, err := membership.Issue(cloudKey, membership.Certificate{
				Cloud: nodetest.CloudName, Serial: 9, Subject: m.Peer(), Name: m.Name, Services: []string{node.MembershipService, "part"},
				NotBefore: time.Now().Add(-age).Unix(), NotAfter: ended.Unix(),
			})
			require.NoError(t, err)
			m.Membership.Certificate = &membership.Presented{Certificate: signed}
			m.Start()
			w.do(m, func(ctx context.Context, env node.Env) {
				own, _ := env.Authority.Own()
				_, err := authapi.NewClient(env.Wire).Renew(ctx, own)
				if renewed {
					require.NoError(t, err)
				} else {
					require.Equal(t, transport.Conflict, transport.KindOf(err))
					require.ErrorContains(t, err, "so long ago")
				}
			})
		}
	})
}

// TestAnAuthIsRevokedByTheCloudKeyOnly: what another auth could sign about it would change nothing, and is not
// acknowledged therefore.
func TestAnAuthIsRevokedByTheCloudKeyOnly(t *testing.T) {
	inTown(t, 3, func(w *town) {
		a := w.member("a").Start()
		nodetest.Sleep(10 * time.Second)
		by, bad := w.auths[0], w.auths[1]
		revoke := func(of *nodetest.Machine, statement *membership.Revoking) (err error) {
			w.do(by, func(ctx context.Context, env node.Env) {
				_, err = authapi.Revoke.Call(ctx, env.Wire, by.Peer(), authapi.RevokeRequest{Subject: of.Peer(), Statement: statement})
			})
			return err
		}
		require.NoError(t, w.greet(bad, a))
		for _, of := range w.auths {
			require.Equal(t, transport.Conflict, transport.KindOf(revoke(of, nil)), of.Name)
		}
		require.NoError(t, w.greet(bad, a))
		signed := membership.Revoking{Revocation: membership.Revoke(cloudKey, membership.Revocation{Cloud: nodetest.CloudName, Subject: bad.Peer(), Before: time.Now().Unix()})}
		require.NoError(t, revoke(bad, &signed))
		nodetest.Sleep(5 * time.Second)
		require.Equal(t, transport.NotAllowed, transport.KindOf(w.greet(bad, a)))
		require.Equal(t, transport.NotAllowed, transport.KindOf(w.greet(a, bad)), "nor is it asked")
	})
}

// TestWhatIsAcknowledgedIsDurable: the one auth loses its power at the moment when it has answered.
func TestWhatIsAcknowledgedIsDurable(t *testing.T) {
	inTown(t, 1, func(w *town) {
		a, bad, one := w.auths[0], w.member("bad").Start(), w.newcomer("one")
		nodetest.Sleep(10 * time.Second)
		lose := func() {
			a.Vanish()
			a.Start()
			nodetest.Sleep(time.Second)
		}
		require.Equal(t, 1, w.revoke(a, bad))
		lose()
		require.Equal(t, transport.NotAllowed, transport.KindOf(w.greet(bad, a)))
		ticket := w.ticket(a, 2, "part")
		lose()
		require.NoError(t, w.join(one, ticket, "part"))
		lose()
		w.do(a, func(ctx context.Context, env node.Env) {
			resp, err := authapi.Invitations.Call(ctx, env.Wire, a.Peer(), authapi.InvitationsRequest{})
			require.NoError(t, err)
			require.Len(t, resp.List, 1)
			require.Equal(t, []transport.Peer{one.Peer()}, resp.List[0].Used)
			_, err = authapi.Withdraw.Call(ctx, env.Wire, a.Peer(), authapi.WithdrawRequest{ID: resp.List[0].ID})
			require.NoError(t, err)
		})
		lose()
		require.Equal(t, transport.Conflict, transport.KindOf(w.join(w.newcomer("two"), ticket, "part")))
	})
}

// TestSettingsThatAreWrongTogether: each is allowed, and what they promise together is not kept.
func TestSettingsThatAreWrongTogether(t *testing.T) {
	s := auth.DefaultSettings()
	require.NoError(t, node.CheckSettings(s))
	s.Lifetime, s.RenewGrace = 200*24*time.Hour, 199*24*time.Hour
	require.NoError(t, node.CheckSettings(s))
	s.RenewGrace += 24 * time.Hour
	require.ErrorContains(t, node.CheckSettings(s), "renew-grace")
}

// ticket has an auth make an invitation.
func (w *town) ticket(by *nodetest.Machine, uses uint32, services ...string) (t membership.Ticket) {
	w.do(by, func(ctx context.Context, env node.Env) {
		var err error
		t, err = authapi.NewClient(env.Wire).Invite(ctx, []byte(rand.Text()), cloudKey.Peer(), services, time.Hour, uses)
		require.NoError(w.t, err)
		i, err := membership.OpenInvitation(t.Invitation)
		require.NoError(w.t, err)
		require.Equal(w.t, by.Peer(), i.AdmittedBy)
	})
	return t
}

// newcomer is a node without a certificate, which is up.
func (w *town) newcomer(name string) *nodetest.Machine {
	m := w.member(name)
	m.Membership = &node.Membership{Cloud: nodetest.CloudName, Key: cloudKey.Peer()}
	return m.Start()
}

func (w *town) join(m *nodetest.Machine, t membership.Ticket, services ...string) (err error) {
	w.do(m, func(ctx context.Context, env node.Env) {
		var p membership.Presented
		if p, err = authapi.Join(ctx, env.Wire, t, m.Name, services); err == nil {
			err = env.Authority.SetOwn(p)
		}
	})
	return err
}

// TestInvitations let in whom they are for, as many as they are for, and for what they are for.
func TestInvitations(t *testing.T) {
	inTown(t, 2, func(w *town) {
		a := w.auths[0]
		text := w.ticket(a, 2, "part", "monkey").Text()
		ticket, err := membership.ParseTicket(text)
		require.NoError(t, err)
		one, two, three := w.newcomer("one"), w.newcomer("two"), w.newcomer("three")
		require.Equal(t, transport.NotAllowed, transport.KindOf(w.greet(one, a)))
		require.Equal(t, transport.Conflict, transport.KindOf(w.join(one, ticket, "auth")), "not for that")
		require.NoError(t, w.join(one, ticket, "part"))
		require.NoError(t, w.greet(one, a))
		require.NoError(t, w.join(one, ticket, "monkey", "part"), "it counts once")
		a.Vanish()
		a.Start()
		require.NoError(t, w.join(two, ticket, "part"))
		a.Vanish()
		a.Start()
		require.Equal(t, transport.Conflict, transport.KindOf(w.join(three, ticket, "part")), "two have come, whatever has crashed since")
		require.NoError(t, w.greet(two, one))

		another := w.ticket(a, 1, "part")
		w.do(a, func(ctx context.Context, env node.Env) {
			resp, err := authapi.Invitations.Call(ctx, env.Wire, a.Peer(), authapi.InvitationsRequest{})
			require.NoError(t, err)
			require.Len(t, resp.List, 2)
			for _, i := range resp.List {
				if len(i.Used) == 0 {
					_, err = authapi.Withdraw.Call(ctx, env.Wire, a.Peer(), authapi.WithdrawRequest{ID: i.ID})
					require.NoError(t, err)
				}
			}
			_, err = authapi.Withdraw.Call(ctx, env.Wire, a.Peer(), authapi.WithdrawRequest{ID: 7})
			require.Equal(t, transport.NotFound, transport.KindOf(err))
		})
		require.Equal(t, transport.Conflict, transport.KindOf(w.join(three, another, "part")), "withdrawn")
		late := w.ticket(a, 1, "part")
		nodetest.Sleep(2 * time.Hour)
		require.Equal(t, transport.Conflict, transport.KindOf(w.join(three, late, "part")), "over")
		w.revoke(a, one)
		nodetest.Sleep(10 * time.Second)
		again := w.ticket(a, 1, "part")
		require.Equal(t, transport.Conflict, transport.KindOf(w.join(one, again, "part")), "a revoked key does not come back")
	})
}

// TestRotation: the cloud key is replaced, auths certify by the new one, and the old one ends.
func TestRotation(t *testing.T) {
	inTown(t, 2, func(w *town) {
		a, away := w.member("a").Start(), w.member("away").Start()
		nodetest.Sleep(5 * time.Second)
		require.NoError(t, w.greet(a, away))
		away.Stop()
		now := time.Now()
		rotate := authapi.RotateRequest{Rotation: membership.Rotate(cloudKey, membership.Rotation{Cloud: nodetest.CloudName, To: laterKey.Peer(), Until: now.Add(2 * time.Hour).Unix()})}
		for _, m := range w.auths {
			signed, err := membership.Issue(laterKey, membership.Certificate{
				Cloud: nodetest.CloudName, Serial: 9, Subject: m.Peer(), Name: m.Name, Services: []string{"auth", node.MembershipService, "part"},
				Issues: []string{node.MembershipService, "monkey", "part", "patrick"}, NotBefore: now.Unix() + 1, NotAfter: now.Add(100 * time.Hour).Unix(),
			})
			require.NoError(t, err)
			rotate.Issuers = append(rotate.Issuers, signed)
		}
		nodetest.Sleep(2 * time.Second)
		w.do(w.auths[0], func(ctx context.Context, env node.Env) {
			copies, err := authapi.NewClient(env.Wire).Rotate(ctx, rotate)
			require.NoError(t, err)
			require.Equal(t, 2, copies)
			evil := rotate
			evil.Rotation = membership.Rotate(cloudKey, membership.Rotation{Cloud: nodetest.CloudName, To: cloudKey.Peer(), Until: now.Unix()})
			_, err = authapi.NewClient(env.Wire).Rotate(ctx, evil)
			require.Equal(t, transport.Invalid, transport.KindOf(err), "the old key has a successor already")
		})
		nodetest.Sleep(5 * time.Second)
		require.Len(t, w.envs["a"].Authority.Rotations(), 1, "whoever is connected hears of it")
		nodetest.Sleep(time.Hour)
		away.Start()
		nodetest.Sleep(30 * time.Second)
		require.NoError(t, w.greet(away, a), "it hears of the new key when it connects, and renews")
		nodetest.Sleep(2 * time.Hour)
		require.NoError(t, w.greet(a, w.auths[1]), "it has renewed by the new key")
		require.NoError(t, w.greet(away, a))
		a.Vanish()
		a.Start()
		require.Len(t, w.envs["a"].Authority.Rotations(), 1, "it is on its disk")
		require.NoError(t, w.greet(a, away))
	})
}

// TestARevocationBehindAPartition takes back also what an auth has signed since that had not heard of it.
func TestARevocationBehindAPartition(t *testing.T) {
	inTown(t, 2, func(w *town) {
		bad := w.member("bad").Start()
		nodetest.Sleep(5 * time.Second)
		w.auths[1].Stop()
		require.Equal(t, 1, w.revoke(w.auths[0], bad))
		w.auths[0].Stop()
		nodetest.Sleep(time.Hour)
		w.auths[1].Start()
		var fresh membership.Presented
		w.do(bad, func(ctx context.Context, env node.Env) {
			own, _ := env.Authority.Own()
			var err error
			fresh, err = authapi.NewClient(env.Wire).Renew(ctx, own)
			require.NoError(t, err, "this auth does not know")
			require.NoError(t, env.Authority.SetOwn(fresh))
		})
		require.NoError(t, w.greet(bad, w.auths[1]))
		w.auths[0].Start()
		nodetest.Sleep(30 * time.Second)
		for _, m := range w.auths {
			require.Equal(t, transport.NotAllowed, transport.KindOf(w.greet(bad, m)), m.Name)
		}
		require.Len(t, w.Facts("revoked-again"), 1)
	})
}

// TestAnInvitationOutlivesItsMaker: of three auths one is gone, the one that has made the invitation; two count. One alone does not.
func TestAnInvitationOutlivesItsMaker(t *testing.T) {
	inTown(t, 3, func(w *town) {
		ticket := w.ticket(w.auths[0], 1, "part")
		i, err := membership.OpenInvitation(ticket.Invitation)
		require.NoError(t, err)
		require.Len(t, i.With, 2)
		withdrawn := w.ticket(w.auths[0], 1, "part")
		gone, err := membership.OpenInvitation(withdrawn.Invitation)
		require.NoError(t, err)
		w.do(w.auths[1], func(ctx context.Context, env node.Env) {
			_, err := authapi.Withdraw.Call(ctx, env.Wire, env.Self, authapi.WithdrawRequest{ID: gone.ID})
			require.NoError(t, err)
		})
		one, two := w.newcomer("one"), w.newcomer("two")
		require.Equal(t, transport.Conflict, transport.KindOf(w.join(one, withdrawn, "part")), "two of three have forgotten it")

		w.auths[0].Vanish()
		w.auths[1].Vanish()
		require.Error(t, w.join(one, ticket, "part"), "one of three is no majority")
		w.auths[1].Start()
		require.NoError(t, w.join(one, ticket, "part"))
		w.auths[1].Vanish()
		w.auths[2].Vanish()
		w.auths[1].Start()
		w.auths[2].Start()
		require.Equal(t, transport.Conflict, transport.KindOf(w.join(two, ticket, "part")), "what was counted is on disks")
		require.NoError(t, w.join(one, ticket, "part"), "it counts once")
	})
}
