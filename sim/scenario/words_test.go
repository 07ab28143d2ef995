package scenario

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/node/fail"
	"github.com/taucloud/tau/sim/check"
)

var _ = fail.Register("monkey/after-lock", "a point for the tests of this package")

type patrickSettings struct {
	AttemptsMax   int           `yaml:"attempts-max" range:"1..100"`
	LeaseDuration time.Duration `yaml:"lease-duration" range:"1s..24h"`
	BytesMax      int64         `yaml:"bytes-max" range:"0..1GiB"`
	Retry         struct {
		Backoff time.Duration `yaml:"backoff" range:"1ms.."`
		Jitter  float64       `yaml:"jitter" range:"0..1"`
	} `yaml:"retry"`
	Labels map[string]string `yaml:"labels" range:"..2"`
}

type authSettings struct {
	Age time.Duration `yaml:"age" range:"1s.."`
}

// Conflicts implements node.Ruled.
func (s *patrickSettings) Conflicts() []*node.SettingError {
	if s.Retry.Backoff <= s.LeaseDuration {
		return nil
	}
	return []*node.SettingError{{Key: "retry.backoff", What: "longer than lease-duration, " + s.LeaseDuration.String(), Hint: "make it shorter"}}
}

type pushParams struct {
	Project   string `yaml:"project"`
	Branch    string `yaml:"branch"`
	NewestWin bool   `yaml:"newest-wins"`
}

type always struct{ name string }

func (a always) Name() string            { return a.name }
func (a always) Fact(_ check.Fact) error { return nil }
func (a always) Poll(_ check.View) error { return nil }
func (a always) Figures() map[string]float64 {
	return map[string]float64{"jobs.succeeded": 0, "jobs.latency": math.NaN(), "retries": 0}
}
func spec(name string, settings func() any) node.Spec {
	return node.Spec{Name: name, Settings: settings}
}

type settles struct{ name string }

func (s settles) Name() string               { return s.name }
func (s settles) Settled(_ check.View) error { return nil }

// testWords is a vocabulary like the real one.
func testWords() Vocabulary {
	none := func() any { return &struct{}{} }
	return Vocabulary{
		Services: []node.Spec{
			spec("seer", none), spec("tns", none),
			spec("patrick", func() any {
				return &patrickSettings{AttemptsMax: 3, LeaseDuration: 10 * time.Second, Labels: nil}
			}),
			spec("monkey", none), spec("hoarder", nil), spec("auth", func() any { return &authSettings{Age: time.Second} }),
		},
		Always: []node.Spec{spec("beacon", none)},
		Rules: []node.Rule{
			node.NewRule("patrick", "lease-duration", "patrick", "lease-duration", func(s, other *patrickSettings) (what, hint string) {
				if s.LeaseDuration == other.LeaseDuration {
					return "", ""
				}
				return "not that of others, " + other.LeaseDuration.String(), "make them equal"
			}),
			node.NewRule("auth", "age", "patrick", "lease-duration", func(s *authSettings, p *patrickSettings) (what, hint string) {
				if s.Age <= p.LeaseDuration {
					return "", ""
				}
				return "longer than patrick's lease-duration, " + p.LeaseDuration.String(), "make it shorter"
			}),
		},
		Actions: []Action{{
			Name:   "push",
			Doc:    "pushes a commit",
			Params: func() any { return &pushParams{Branch: "main"} },
			Validate: func(p any) error {
				if p.(*pushParams).Project == "" {
					return errors.New("project is missing")
				}
				return nil
			},
			Run: func(context.Context, node.Env, any, int) error { return nil },
		}},
		Checks: []Check{
			{Name: "no-lost-jobs", New: func() check.Checker { return always{"no-lost-jobs"} }},
			{Name: "one-effective-outcome-per-job", New: func() check.Checker { return always{"one-effective-outcome-per-job"} }},
			{Name: "replicas-converged", New: func() check.Checker { return settles{"replicas-converged"} }},
			{Name: "every-job-final", New: func() check.Checker { return settles{"every-job-final"} }},
		},
	}
}
