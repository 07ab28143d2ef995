package webhook

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const secret = "It's a Secret to Everybody"

var (
	now = time.Unix(1790000000, 0)
	key = signingPrefix + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
)

// sent is a delivery as its forge sends it.
type sent struct {
	hook   Hook
	header textproto.MIMEHeader
	body   []byte
}

func (s sent) read() (Delivery, error) { return Read(s.hook, s.header, s.body, now) }

// send is what a forge sends of a body, signed with a secret at a moment.
func send(forge Forge, with string, body []byte, at time.Time) sent {
	s := sent{Hook{forge, []string{with}}, textproto.MIMEHeader{}, body}
	s.header.Set("Content-Type", "application/json")
	mac := hex.EncodeToString(sum([]byte(with), body))
	switch forge {
	case GitHub:
		s.set("X-GitHub-Event", "push", "X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958", "X-Hub-Signature-256", "sha256="+mac)
	case Gitea:
		s.set("X-Gitea-Event", "push", "X-Gitea-Delivery", "f6266f16-1bf3-46a5-9ea4-602e06ead473", "X-Gitea-Signature", mac)
	case Bitbucket:
		s.set("X-Event-Key", "repo:push", "X-Request-UUID", "a7ad6f17-0000-4c3a-9f0b-b0e25a2c91b7", "X-Hub-Signature", "sha256="+mac)
	case GitLab:
		s.set("X-Gitlab-Event", "Push Hook", "Idempotency-Key", "f5e5f430-f57b-4e6e-9fac-d9128cd7232f")
		if !strings.HasPrefix(with, signingPrefix) {
			s.set("X-Gitlab-Token", with)
			break
		}
		fallthrough
	case Generic:
		id, unix := "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", strconv.FormatInt(at.Unix(), 10)
		signature := base64.StdEncoding.EncodeToString(sum(signingKey(with), []byte(id+"."+unix+"."+string(body))))
		s.set("webhook-id", id, "webhook-timestamp", unix, "webhook-signature", "v1,"+signature)
	}
	return s
}

func (s sent) set(pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		s.header.Set(pairs[i], pairs[i+1])
	}
}

func file(t testing.TB, name string) []byte {
	body, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return body
}

// The vector of GitHub's documentation.
func TestTheSignatureIsGitHubs(t *testing.T) {
	require.Equal(t, "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", hex.EncodeToString(sum([]byte(secret), []byte("Hello, World!"))))
}

// The vector of the Standard Webhooks specification.
func TestTheSignatureIsStandard(t *testing.T) {
	body := []byte(`{"test": 2432232314}`)
	s := sent{Hook{Generic, []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}, textproto.MIMEHeader{}, body}
	s.set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", "1614265330", "webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	require.NoError(t, signed(s.hook, s.header, body, time.Unix(1614265330, 0)))
}

func TestWhatForgesSend(t *testing.T) {
	shop := Repository{"35129377", "ada/shop", "main"}
	lab := Repository{"15", "ada/shop", "main"}
	for name, c := range map[string]struct {
		forge Forge
		event string // "" is that of a push
		want  Delivery
	}{
		"github-push.json": {GitHub, "", Delivery{Repository: shop, Updates: []Update{
			{"refs/heads/main", "6113728f27ae82c7b1a177c8d03f9e96e0adf246", "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c", true},
		}}},
		"github-ping.json": {GitHub, "ping", Delivery{Repository: shop}},
		"github-deleted.json": {GitHub, "", Delivery{Repository: shop, Updates: []Update{
			{"refs/heads/draft", "6113728f27ae82c7b1a177c8d03f9e96e0adf246", "", false},
		}}},
		"gitlab-push.json": {GitLab, "", Delivery{Repository: lab, Updates: []Update{
			{"refs/heads/feature/prices", "95790bf891e76fee5e1747ab589903a6a1f80f22", "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", false},
		}}},
		"gitlab-tag.json": {GitLab, "Tag Push Hook", Delivery{Repository: lab, Updates: []Update{
			{"refs/tags/v1.0.0", "", "82b3d5ae55f7080f1e6022629cdb57bfae7cccc7", false},
		}}},
		"gitea-push.json": {Gitea, "", Delivery{Repository: Repository{"140", "ada/shop", "main"}, Updates: []Update{
			{"refs/heads/main", "28e1879d029cb852e4844d9c718537df08844e03", "bffeb74224043ba2feb48d137756c8a9331c449a", false},
		}}},
		"bitbucket-push.json": {Bitbucket, "", Delivery{Repository: Repository{"{673a6070-3421-46c9-9d48-90745f7bfe8e}", "ada/shop", ""}, Updates: []Update{
			{"refs/heads/main", "1e65c05c1d5171631d92438a13901ca7dae9618c", "709d658dc5b6d6afcd46049c2f332ee3f515a67d", false},
			{"refs/tags/v2", "", "709d658dc5b6d6afcd46049c2f332ee3f515a67d", false},
			{"refs/heads/draft", "2e65c05c1d5171631d92438a13901ca7dae9618c", "", false},
			{"refs/heads/kept", "4e65c05c1d5171631d92438a13901ca7dae9618c", "3e65c05c1d5171631d92438a13901ca7dae9618c", true},
		}}},
		"generic-push.json": {Generic, "", Delivery{Repository: Repository{"shop.git", "ada/shop", "main"}, Updates: []Update{
			{"refs/heads/main", "6113728f27ae82c7b1a177c8d03f9e96e0adf246", "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c", false},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := send(c.forge, secret, file(t, name), now)
			if c.event != "" {
				for _, h := range forges[c.forge].events {
					s.header.Set(h, c.event)
				}
			}
			d, err := s.read()
			require.NoError(t, err)
			require.NotEmpty(t, d.ID)
			require.NotEmpty(t, d.Event)
			c.want.ID, c.want.Event = d.ID, d.Event
			require.Equal(t, c.want, d)
		})
	}
}

// pushes is a delivery of each forge and kind of secret.
func pushes(t testing.TB) map[string]sent {
	return map[string]sent{
		"github": send(GitHub, secret, file(t, "github-push.json"), now), "gitea": send(Gitea, secret, file(t, "gitea-push.json"), now),
		"gitlab": send(GitLab, secret, file(t, "gitlab-push.json"), now), "gitlab signed": send(GitLab, key, file(t, "gitlab-push.json"), now),
		"bitbucket": send(Bitbucket, secret, file(t, "bitbucket-push.json"), now),
		"generic":   send(Generic, secret, file(t, "generic-push.json"), now), "generic key": send(Generic, key, file(t, "generic-push.json"), now),
	}
}

// What is not signed with a secret of the hook is refused, before anything else is known of it.
func TestWhatIsNotProven(t *testing.T) {
	for name, fake := range map[string]func(s *sent){
		"another secret":     func(s *sent) { s.hook.Secrets = []string{strings.Repeat("x", len(secret))} },
		"no secret":          func(s *sent) { s.hook.Secrets = nil },
		"too many secrets":   func(s *sent) { s.hook.Secrets = append(make([]string, SecretsMax), s.hook.Secrets...) },
		"proofs left out":    func(s *sent) { s.header = textproto.MIMEHeader{"Content-Type": s.header["Content-Type"]} },
		"an empty signature": func(s *sent) { s.each(func(string) string { return "" }) },
		"half a signature":   func(s *sent) { s.each(func(v string) string { return v[:len(v)/2] }) },
		"a longer one":       func(s *sent) { s.each(func(v string) string { return v + v }) },
		"an empty secret, and its signature": func(s *sent) {
			*s = send(s.hook.Forge, "", s.body, now)
		},
		"a short secret, and its signature": func(s *sent) { *s = send(s.hook.Forge, secret[:SecretLenMin-1], s.body, now) },
		"a short key, and its signature": func(s *sent) {
			*s = send(s.hook.Forge, signingPrefix+base64.StdEncoding.EncodeToString([]byte("0123456789abcde")), s.body, now)
		},
		"a long secret, and its signature": func(s *sent) { *s = send(s.hook.Forge, strings.Repeat("x", SecretLenMax+1), s.body, now) },
	} {
		for forge, s := range pushes(t) {
			t.Run(name+" "+forge, func(t *testing.T) {
				fake(&s)
				requireReason(t, s, Unproven)
			})
		}
	}
	for forge, s := range pushes(t) {
		if s.header.Get("X-Gitlab-Token") == "" { // the token says nothing of the body
			s.body = []byte(strings.Replace(string(s.body), "ada", "eve", 1))
			requireReason(t, s, Unproven, forge)
		}
	}
}

// each changes every header that proves something.
func (s *sent) each(change func(v string) string) {
	s.header = textproto.MIMEHeader(maps.Clone(s.header))
	for _, name := range []string{"X-Hub-Signature-256", "X-Gitea-Signature", "X-Hub-Signature", "X-Gitlab-Token", "Webhook-Signature"} {
		if v := s.header.Get(name); v != "" {
			s.header.Set(name, change(v))
		}
	}
}

func requireReason(t *testing.T, s sent, reason Reason, about ...any) {
	t.Helper()
	d, err := s.read()
	var e *Error
	require.ErrorAs(t, err, &e, about...)
	require.Equal(t, reason, e.Reason, "%v: %v", about, e)
	require.Zero(t, d)
	for _, hidden := range s.hook.Secrets {
		require.True(t, hidden == "" || !strings.Contains(e.Text, hidden))
	}
}

// A forge's proof does not do for another one's hook: a hook that signs is not satisfied with a token.
func TestTheWeakerProofIsNotChosen(t *testing.T) {
	s := send(GitLab, key, file(t, "gitlab-push.json"), now)
	s.header.Del("Webhook-Signature")
	s.header.Set("X-Gitlab-Token", key)
	requireReason(t, s, Unproven)
}

func TestASecretIsReplaced(t *testing.T) {
	for name, s := range pushes(t) {
		s.hook.Secrets = append([]string{"the one of today, say"}, s.hook.Secrets...)
		_, err := s.read()
		require.NoError(t, err, name)
	}
}

// Where a time is signed, it is near.
func TestOldDeliveriesAreRefused(t *testing.T) {
	for _, forge := range []Forge{GitLab, Generic} {
		for late, good := range map[time.Duration]bool{
			0: true, SkewMax: true, -SkewMax: true, SkewMax + time.Second: false, -SkewMax - time.Second: false, 24 * 365 * time.Hour: false,
		} {
			name := map[Forge]string{GitLab: "gitlab-push.json", Generic: "generic-push.json"}[forge]
			s := send(forge, key, file(t, name), now.Add(-late))
			if good {
				_, err := s.read()
				require.NoError(t, err, "%s, %v", forge, late)
				continue
			}
			requireReason(t, s, Unproven, forge, late)
			s.header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10)) // the time is signed as well
			requireReason(t, s, Unproven, forge, late)
		}
	}
	s := send(Generic, key, file(t, "generic-push.json"), now)
	s.header.Set("Webhook-Id", "another")
	requireReason(t, s, Unproven, "the id is signed")
}

func TestOneOfSeveralSignatures(t *testing.T) {
	s := send(Generic, key, file(t, "generic-push.json"), now)
	right := s.header.Get("Webhook-Signature")
	for header, good := range map[string]bool{
		"v1,AAAA v1a,zzz " + right:                          true,
		right + " v1,AAAA":                                  true,
		strings.Replace(right, "v1,", "v2,", 1):             false,
		strings.Repeat("v1,AAAA ", signaturesMax-1) + right: true,
		strings.Repeat("v1,AAAA ", signaturesMax) + right:   false,
	} {
		s.header.Set("Webhook-Signature", header)
		_, err := s.read()
		require.Equal(t, good, err == nil, header)
	}
}

func TestWhatIsRefusedAtOnce(t *testing.T) {
	s := send(GitHub, secret, file(t, "github-push.json"), now)
	for contentType, reason := range map[string]Reason{
		"application/json; charset=utf-8": 0, "APPLICATION/JSON": 0,
		"application/x-www-form-urlencoded": NotJSON, "": NotJSON, "text/json": NotJSON,
	} {
		s.header.Set("Content-Type", contentType)
		if reason == 0 {
			_, err := s.read()
			require.NoError(t, err)
			continue
		}
		requireReason(t, s, reason, contentType)
	}
	big := send(GitHub, secret, make([]byte, BodyLenMax+1), now)
	requireReason(t, big, TooLarge)
	s.hook.Forge = "sourceforge"
	requireReason(t, s, NoForge)
}

const (
	one = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
	two = "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c"
)

// generic is a push of one ref.
func generic(ref, before, after string) sent {
	body, _ := json.Marshal(map[string]any{
		"event": "push", "repository": map[string]string{"id": "1"},
		"updates": []map[string]string{{"ref": ref, "before": before, "after": after}},
	})
	return send(Generic, secret, body, now)
}

func TestRefsAndCommits(t *testing.T) {
	for ref, kept := range map[string]bool{
		"refs/heads/main": true, "refs/heads/a/b": true, "refs/tags/v1.0": true, "refs/heads/grün🌿": true, "refs/heads/" + strings.Repeat("a", NameLenMax-11): true,
		"refs/heads/": false, "refs/heads/a..b": false, "refs/heads/.a": false, "refs/heads/a/.b": false, "refs/heads/a//b": false, "refs/heads/a/": false,
		"refs/heads/a.lock": false, "refs/heads/a.lock/b": false, "refs/heads/a.": false, "refs/heads/a b": false, "refs/heads/a~1": false, "refs/heads/a^": false,
		"refs/heads/a:b": false, "refs/heads/a?": false, "refs/heads/*": false, "refs/heads/a[": false, "refs/heads/a\\b": false, "refs/heads/a@{1": false,
		"refs/heads/-f": false, "refs/heads/a\nb": false, "refs/heads/a\x1b[2J": false, "refs/heads/" + strings.Repeat("a", NameLenMax-10): false,
		"refs/notes/commits": false, "main": false, "": false, "refs/heads": false,
	} {
		d, err := generic(ref, one, two).read()
		require.NoError(t, err, "a forge stops using a hook that refuses what it cannot change: %q", ref)
		require.Equal(t, kept, len(d.Updates) == 1, "%q", ref)
		require.Equal(t, !kept && (strings.HasPrefix(ref, branches) && ref != branches), d.Partial, "%q", ref)
	}
	none := strings.Repeat("0", 40)
	long := strings.Repeat("ab", 32)
	for _, c := range []struct {
		before, after string
		want          []Update
		bad           bool
	}{
		{none, two, []Update{{"refs/heads/m", "", two, false}}, false},
		{one, none, []Update{{"refs/heads/m", one, "", false}}, false},
		{one, strings.Repeat("0", 64), []Update{{"refs/heads/m", one, "", false}}, false},
		{long, two, []Update{{"refs/heads/m", long, two, false}}, false},
		{one, one, []Update{{"refs/heads/m", one, one, false}}, false},
		{none, none, nil, false},
		{"", "", nil, false},
		{one, strings.ToUpper(two), nil, true},
		{one, two[1:], nil, true},
		{one, "HEAD", nil, true},
		{"../../../../etc/passwd", two, nil, true},
	} {
		s := generic("refs/heads/m", c.before, c.after)
		if c.bad {
			requireReason(t, s, Malformed, c.before, c.after)
			continue
		}
		d, err := s.read()
		require.NoError(t, err)
		require.Equal(t, c.want, d.Updates)
	}
	require.Equal(t, "m", Update{Ref: "refs/heads/m"}.Branch())
	require.Equal(t, "", Update{Ref: "refs/heads/m"}.Tag())
	require.Equal(t, "m", Update{Ref: "refs/tags/m"}.Tag())
}

func TestBodiesThatAreNone(t *testing.T) {
	for forge, bodies := range map[Forge][]string{
		GitHub:    {"", "null and void", "[]", `{"ref":1}`, `{"ref":"refs/heads/a","after":"` + two + `"}`, `{"repository":{"id":"x y"}}`, `{"repository":{"id":1,"full_name":"a\nb"}}`},
		GitLab:    {"", `{"object_kind":"push","ref":"refs/heads/a","after":"` + two + `"}`, `{"project":{"id":1,"default_branch":"\u001b[2J"}}`},
		Bitbucket: {"", `{"push":{"changes":[{"new":{"type":"branch","name":"a","target":{"hash":"` + two + `"}}}]}}`, `{"push":{"changes":{}}}`},
		Generic:   {"", `{"event":"a\nb"}`, `{"event":"push","updates":[{"ref":"refs/heads/a","after":"` + two + `"}]}`, `{"repository":{"id":"` + strings.Repeat("a", NameLenMax+1) + `"}}`},
	} {
		for _, body := range bodies {
			requireReason(t, send(forge, secret, []byte(body), now), Malformed, forge, body)
		}
	}
	s := send(GitHub, secret, file(t, "github-push.json"), now)
	s.header.Set("X-Github-Delivery", strings.Repeat("a", NameLenMax+1))
	requireReason(t, s, Malformed)
}

// Of too many refs those beyond the bound are left out, and it is said.
func TestManyRefs(t *testing.T) {
	for n, partial := range map[int]bool{UpdatesMax: false, UpdatesMax + 1: true} {
		var updates []string
		for i := range n {
			updates = append(updates, fmt.Sprintf(`{"ref":"refs/heads/b%d","before":"%s","after":"%s"}`, i, one, two))
		}
		d, err := send(Generic, secret, []byte(`{"event":"push","repository":{"id":"1"},"updates":[`+strings.Join(updates, ",")+`]}`), now).read()
		require.NoError(t, err)
		require.Len(t, d.Updates, UpdatesMax)
		require.Equal(t, partial, d.Partial)
	}
}

// TestWhatIsWrongIsSaid in words of JSON: where it is, and what was expected.
func TestWhatIsWrongIsSaid(t *testing.T) {
	for body, says := range map[string]string{
		`[]`:                         "has a list where an object is expected",
		`{"ref":5}`:                  "has a number where a string is expected: ref",
		`{"forced":"yes"}`:           "has a string where true or false is expected: forced",
		`{"repository":{"id":{}}}`:   "has an object where a number is expected: repository.id",
		`{"repository":"acme/site"}`: "has a string where an object is expected: repository",
		`{"ref":`:                    "is no JSON, at byte 7 of 7",
		`{"repository":{"id":"x"}}`:  "is not what this event has",
	} {
		err := readGitHub(&Delivery{Event: "push"}, []byte(body))
		require.EqualError(t, err, "the body is not the JSON of this event: it "+says, body)
	}
	err := readGeneric(&Delivery{Event: "push"}, []byte(`{"updates":{}}`))
	require.EqualError(t, err, "the body is not the JSON of this event: it has an object where a list is expected: updates")
}

// Whatever a forge signs: what is read is within the bounds, and what is not signed is not read.
func FuzzRead(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.json")
	for _, name := range names {
		body, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(body, "push", "id")
	}
	f.Add([]byte(`{"event":"push"}`), "repo:push", "a b")
	f.Fuzz(func(t *testing.T, body []byte, event, id string) {
		for forge, how := range forges {
			s := send(forge, secret, body, now)
			for _, h := range how.events {
				s.header.Set(h, event)
			}
			if forge != Generic {
				s.header.Set(how.ids[0], id)
			}
			d, err := s.read()
			if err != nil {
				var e *Error
				require.ErrorAs(t, err, &e)
				require.Zero(t, d)
			}
			require.LessOrEqual(t, len(d.Updates), UpdatesMax)
			for _, u := range d.Updates {
				require.True(t, isRef(u.Ref) && (u.Branch() != "") != (u.Tag() != ""))
				require.NotEqual(t, "", u.Before+u.After)
				require.NotEmpty(t, d.Repository.ID)
			}
			s.hook.Secrets = []string{"another secret of the right length"}
			_, err = s.read()
			require.Error(t, err)
		}
	})
}

// What is signed without a name or a time is proven by nothing, whoever has signed it; and a signature of other content neither.
func TestWhatIsNotSignedWhole(t *testing.T) {
	for _, forge := range []Forge{GitLab, Generic} {
		body := file(t, map[Forge]string{GitLab: "gitlab-push.json", Generic: "generic-push.json"}[forge])
		for name, change := range map[string]func(s *sent){
			"no name":         func(s *sent) { s.header.Del("Webhook-Id") },
			"no time":         func(s *sent) { s.header.Del("Webhook-Timestamp") },
			"a time in words": func(s *sent) { s.header.Set("Webhook-Timestamp", "now") },
			"no signature":    func(s *sent) { s.header.Del("Webhook-Signature") },
			"another one's":   func(s *sent) { s.header.Set("Webhook-Signature", "v1,AAAA") },
		} {
			s := send(forge, key, body, now)
			change(&s)
			requireReason(t, s, Unproven, forge, name)
		}
	}
}
