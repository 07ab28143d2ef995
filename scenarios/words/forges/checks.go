package forges

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/taucloud/tau/scenarios/forge"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
)

func commitOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:20])
}

const (
	followedName = "forges-are-followed"
	secretName   = "secrets-stay-secret"
	answeredName = "webhooks-are-answered"
)

// Constant are the checks that are expected in every scenario.
func Constant() []string { return []string{secretName} }

// Checks are what is demanded of patricks and auths about forges.
func Checks() []scenario.Check {
	return []scenario.Check{
		{Name: followedName, Of: []string{patrickapi.Service}, Doc: "when all has settled, on every patrick the newest job of each branch that is followed of each repository that auth was told of is of the commit that the forge has there, and has ended; of a branch that was deleted it is the job that ends it",
			New: func() check.Checker { return &followed{branches: map[string][]string{}, at: map[[2]string]string{}} }},
		{Name: answeredName, Of: []string{patrickapi.Service}, Doc: "whoever tries a webhook is answered as the scenario says: forged, repeated, oversized and foreign ones are refused",
			New: func() check.Checker { return &answered{} }},
		{Name: secretName, Doc: "no secret of a scenario, all of which begin with a canary, is in a fact or on a disk of a node of the cloud, as it is or in base64; expected in every scenario",
			New: func() check.Checker { return &kept{} }},
	}
}

// followed follows where the forge has branches.
type followed struct {
	check.Tally
	branches map[string][]string  // patterns, by repository
	at       map[[2]string]string // the commit of a branch of a repository
	order    [][2]string
}

func (*followed) Name() string { return followedName }

// Fact implements check.OnFact.
func (c *followed) Fact(f check.Fact) error {
	switch f.Name {
	case "repository-told":
		c.branches[f.Text("repository")] = strings.Fields(f.Text("branches"))
	case "forge-moved":
		key := [2]string{f.Text("repository"), f.Text("branch")}
		if _, known := c.at[key]; !known {
			c.order = append(c.order, key)
		}
		c.at[key] = f.Text("commit")
	}
	return nil
}

// Settled implements check.OnSettled.
func (c *followed) Settled(v check.View) error {
	for _, key := range c.order {
		if !slices.ContainsFunc(c.branches[key[0]], func(p string) bool { ok, _ := path.Match(p, key[1]); return ok }) {
			continue
		}
		want := c.at[key]
		if want == "" {
			want = patrickapi.NoCommit
		}
		for _, n := range v.Nodes() {
			s, is := n.Service(patrickapi.Service).(jobsSeen)
			if !is {
				continue
			}
			c.Evaluated()
			got := newest(s, key)
			if got.Commit != want {
				return fmt.Errorf("%s: the newest job of %s of %s is of commit %q, the forge has %q", n.Name, key[1], key[0], got.Commit, want)
			}
			if !got.Status.Final() {
				return fmt.Errorf("%s: the job of %s of %s at commit %s has not ended", n.Name, key[1], key[0], want)
			}
		}
	}
	return check.Missing(v, patrickapi.Service)
}

// jobsSeen is what is looked at of a patrick.
type jobsSeen interface {
	JobIDs() []string
	Job(id string) patrickapi.Job
}

// newest is the newest job of a branch, the zero Job if there is none.
func newest(s jobsSeen, key [2]string) (job patrickapi.Job) {
	var order uint64
	for _, id := range s.JobIDs() {
		if j := s.Job(id); j.Repository == key[0] && j.Branch == key[1] && patrickapi.OrderOf(id) >= order {
			order, job = patrickapi.OrderOf(id), j
		}
	}
	return job
}

// answered compares the answers to webhooks with what a scenario wants.
type answered struct{ check.Tally }

func (*answered) Name() string { return answeredName }

// Fact implements check.OnFact.
func (c *answered) Fact(f check.Fact) error {
	if f.Name != "webhook-tried" {
		return nil
	}
	c.Evaluated()
	if got, want := f.Int("status"), f.Int("want"); got != want {
		return fmt.Errorf("a webhook of %s was answered with %d instead of %d", f.Text("repository"), got, want)
	}
	return nil
}

// kept looks for canaries.
type kept struct {
	check.Tally
	planted bool
	polls   int
}

// kept looks at disks every so many polls, and in the end.
const looksEvery = 20

func (*kept) Name() string { return secretName }

// canaries are the canary as it is, and as base64 has it, by where it begins.
var canaries = [][]byte{[]byte(Canary), inBase64(0), inBase64(1), inBase64(2)}

// inBase64 is what base64 makes of the canary behind so many other bytes, without the characters that depend on what is around it.
func inBase64(before int) []byte {
	text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + Canary))
	return []byte(text[(before*8+5)/6 : (before+len(Canary))*8/6])
}

func sings(raw []byte) bool {
	return slices.ContainsFunc(canaries, func(c []byte) bool { return bytes.Contains(raw, c) })
}

// Fact implements check.OnFact.
func (c *kept) Fact(f check.Fact) error {
	c.planted = c.planted || f.Name == "repository-told"
	for _, field := range f.Fields {
		if text := f.Text(field.Name); sings([]byte(text)) {
			return fmt.Errorf("the fact %s of %s holds a secret in %s", f.Name, f.Node, field.Name)
		}
	}
	return nil
}

// Poll implements check.OnPoll.
func (c *kept) Poll(v check.View) error {
	if c.polls++; c.polls%looksEvery != 0 {
		return nil
	}
	return c.Settled(v)
}

// Settled implements check.OnSettled.
func (c *kept) Settled(v check.View) (err error) {
	if !c.planted {
		return nil
	}
	for _, n := range v.Nodes() {
		if slices.Contains(n.Services, forge.Service) || n.Disk == nil {
			continue // whose secrets they are
		}
		c.Evaluated()
		n.Disk.DurableBelow("", func(key string, value []byte) bool {
			if sings(value) || sings([]byte(key)) {
				err = fmt.Errorf("the disk of %s holds a secret at %s", n.Name, key)
			}
			return err == nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
