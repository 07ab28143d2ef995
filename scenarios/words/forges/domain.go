package forges

import (
	"context"
	"time"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/scenarios/words/users"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/sim/scenario"
	"github.com/taucloud/tau/transport"
)

// domainParams is what a domain in a timeline may say.
type domainParams struct {
	Project  string        `yaml:"project" range:"1..63" doc:"the project, which auth is told of if it does not know it"`
	Host     string        `yaml:"host" range:"0..253" doc:"a host that is the project's; default: none"`
	RetryFor time.Duration `yaml:"retry-for" range:"0s..24h" doc:"how long it is tried again"`
}

func domainAction() scenario.Action {
	return scenario.Action{
		Name: "domain", Service: authapi.Service, Example: "domain: {project: shop, host: shop.example.com}",
		Doc:    "those who run the cloud tell auth of a project, and of a host that is its",
		Params: func() any { return &domainParams{RetryFor: time.Minute} },
		Validate: func(params any) error {
			if params.(*domainParams).Project == "" {
				return &node.SettingError{Key: "project", What: "expected the name of a project"}
			}
			return nil
		},
		Run: func(ctx context.Context, client node.Env, params any, _ int) error {
			p := *params.(*domainParams)
			auths := authapi.NewClient(client.Wire)
			_, err := users.Insist(ctx, client, p.RetryFor, []transport.Kind{transport.Invalid, transport.Conflict}, func(ctx context.Context) error {
				if _, err := auths.PutProject(ctx, p.Project); err != nil || p.Host == "" {
					return err
				}
				_, err := auths.PutDomain(ctx, p.Host, p.Project)
				return err
			})
			if err == nil && p.Host != "" {
				client.Observe("domain-acknowledged", node.F("project", p.Project), node.F("host", p.Host))
			}
			return err
		},
	}
}
