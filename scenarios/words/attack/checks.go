package attack

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/taucloud/tau/scenarios/words/evidence"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/sim/check"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// The checks of this package, which are expected in every scenario.
const (
	rulesName     = "rules-are-kept"
	uninvitedName = "nothing-uninvited"
)

// Constant are the checks that are expected in every scenario.
func Constant() []string { return []string{rulesName, uninvitedName} }

// Checks are what attacks must not achieve, whatever is attacked.
func Checks() []scenario.Check {
	return []scenario.Check{
		{Name: rulesName, Doc: "no handler gets anything from whom docs/methods.md does not name for it: no call, note, stream, publication, request for blocks or delta; expected in every scenario",
			New: func() check.Checker { return newRulesKept() }},
		{Name: uninvitedName, Doc: "in a cloud with patricks, tns takes nothing and no job ends but under a token that a patrick has granted, or by what users did; no job is accepted that nobody pushed; expected in every scenario",
			New: func() check.Checker { return newUninvited() }},
	}
}

// rulesKept compares each delivery with the table of methods and with what its sender is in truth.
type rulesKept struct {
	check.Tally
	rows map[string]served
}

func newRulesKept() *rulesKept {
	c := &rulesKept{rows: map[string]served{}}
	for _, s := range table() {
		c.rows[s.name] = s
	}
	return c
}

func (*rulesKept) Name() string { return rulesName }

// Delivered implements check.OnDelivery.
func (c *rulesKept) Delivered(d check.Delivery) error {
	row, known := c.rows[d.Name]
	if !known {
		if d.From.Member {
			return nil // of a service that is not of this cloud's catalogue
		}
		return fmt.Errorf("%s handles %s of %s, a stranger; docs/methods.md does not know it", d.To, d.Name, d.From.Node)
	}
	c.Evaluated()
	if row.allows(d.From.Member, d.From.Grants) {
		return nil
	}
	who := "a stranger"
	if d.From.Member {
		who = "which may offer " + strings.Join(d.From.Grants.Services, " and ")
	}
	return fmt.Errorf("%s handles %s of %s, %s: it is for %s", d.To, d.Name, d.From.Node, who, row.who)
}

// uninvited follows who was granted what, and what users did.
type uninvited struct {
	check.Tally
	patricks int // -1: not looked yet
	granted  map[string][]evidence.Attempt
	users    map[string]bool    // jobs that users pushed, or publish without a patrick
	forge    map[[3]string]bool // what users pushed to a forge: repository, branch and commit
	attacks  int
	conns    map[string]int // that attackers hold, by the node to which
	crowd    int            // the most of them at once
	longest  time.Duration  // that one of them has lasted
}

// Figures implements check.Figures.
func (c *uninvited) Figures() map[string]float64 {
	return map[string]float64{"attacks": float64(c.attacks), "attacks.conns.max": float64(c.crowd), "attacks.conns.longest": c.longest.Seconds()}
}

func newUninvited() *uninvited {
	return &uninvited{patricks: -1, granted: map[string][]evidence.Attempt{}, users: map[string]bool{}, forge: map[[3]string]bool{}, conns: map[string]int{}}
}

func (*uninvited) Name() string { return uninvitedName }

// Witness implements check.OnWitness.
func (c *uninvited) Witness(v check.View, f check.Fact) error {
	switch f.Name {
	case "attack-begun":
		c.attacks++
	case connBegun:
		c.conns[f.Text("to")]++
		c.crowd = max(c.crowd, c.conns[f.Text("to")])
	case connOver:
		c.conns[f.Text("to")]--
		c.longest = max(c.longest, time.Duration(f.Int("lasted")))
	}
	if c.patricks < 0 {
		c.patricks = 0
		for _, n := range v.Nodes() {
			if slices.Contains(n.Services, patrickapi.Service) {
				c.patricks++
			}
		}
	}
	if c.patricks == 0 {
		return nil
	}
	job := f.Text("job")
	switch f.Name {
	case "push-sent", "publish-sent", "fence-sent":
		c.users[job] = f.Name == "push-sent"
	case "git-push-sent":
		c.forge[[3]string{f.Text("repository"), f.Text("branch"), f.Text("commit")}] = true
	case "job-granted":
		c.granted[job] = append(c.granted[job], evidence.AttemptOf(f))
	case "job-accepted":
		c.Evaluated()
		if repository := f.Text("forge"); repository != "" {
			if !c.forge[[3]string{repository, f.Text("branch"), f.Text("commit")}] {
				return fmt.Errorf("%s accepts job %s of %s at commit %s of %s, where nobody has pushed it", f.Node, job, f.Text("branch"), f.Text("commit"), repository)
			}
			c.users[job] = true
			return nil
		}
		if _, known := c.users[job]; !known {
			return fmt.Errorf("%s accepts job %s, which no user has pushed", f.Node, job)
		}
	case "fenced", "published", "job-released":
		return c.token(f, job)
	}
	return nil
}

// token judges what was done under a token.
func (c *uninvited) token(f check.Fact, job string) error {
	if strings.HasPrefix(job, "rollback-") && f.Name == "published" || f.Name == "published" && f.Service != "tns" {
		return nil
	}
	if pushed, known := c.users[job]; known && !pushed {
		return nil // a user publishes by hand
	}
	token := evidence.AttemptOf(f)
	if f.Name == "fenced" && token.Holder == (transport.Peer{}).String() {
		return nil // a patrick that closes the job
	}
	c.Evaluated()
	if slices.Contains(c.granted[job], token) {
		return nil
	}
	return fmt.Errorf("%s of job %s under attempt %d of %s, which no patrick has granted", f.Name, job, token.Number, token.Holder)
}
