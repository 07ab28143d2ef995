package live

import (
	"context"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/project"
	"github.com/taucloud/tau/project/route"
	"github.com/taucloud/tau/services/tns/tnsapi"
)

// Claims are what the live version of a branch answers: of each host the routes that are tried first come first.
type Claims struct {
	Commit string        `json:"commit"`
	Claims []route.Claim `json:"claims"`
}

// claims are those of the live version.
func (r *running) claims(ctx context.Context, req BranchRequest) (c Claims, err error) {
	c.Claims = []route.Claim{}
	err = r.on(ctx, func(ctx context.Context, env node.Env) error {
		v, entries, err := tnsapi.NewClient(env.Wire).Contents(ctx, req.Project, req.Branch, project.RoutesPrefix)
		c.Commit = v.Commit
		for _, e := range entries {
			part, err := project.DecodeRoutes(e.Path, e.Value)
			if err != nil {
				return err
			}
			c.Claims = append(c.Claims, part...)
		}
		return err
	})
	return c, err
}
