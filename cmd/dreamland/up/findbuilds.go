package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/sandbox"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/cmd/tau/toolchains"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
)

// buildsWithin bounds the look at toolchains: each is run.
const buildsWithin = 3 * time.Minute

// builder is a node of a universe that builds, or what one would be of a universe that there is not yet; false: none builds.
func builder(p place) (*shape.Shape, shape.Paths, bool) {
	pl, err := readPlan(p)
	if err != nil || pl == nil {
		return shape.Defaults(), shape.PathsOf(p.node("monkey"), shapeName), true
	}
	i := slices.IndexFunc(pl.Nodes, func(n plannedNode) bool { return slices.Contains(n.Services, monkeyapi.Service) })
	if i < 0 {
		return nil, shape.Paths{}, false
	}
	paths := shape.PathsOf(p.node(pl.Nodes[i].Name), shapeName)
	s, err := shape.Load(paths.Config)
	if err != nil {
		s = shape.Defaults()
	}
	return s, paths, true
}

// findBuilds is what there is to build with. Nothing of it is wrong: websites need none.
func findBuilds(ctx context.Context, p place) (list []Finding) {
	s, paths, builds := builder(p)
	if !builds {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, buildsWithin)
	defer cancel()
	for _, t := range taulive.Toolchains(s, paths, false, p.dir, func(string) {}).Look(ctx) {
		f := Finding{What: "builds", OK: true, Warning: t.Err != nil, Is: t.Name + ": " + t.Version}
		var missing *toolchains.Missing
		switch {
		case errors.As(t.Err, &missing):
			f.Is, f.Do = t.Name+": "+missing.What, missing.Remedy
		case t.Err != nil:
			f.Is = t.Name + ": " + t.Err.Error()
		}
		list = append(list, f)
	}
	return list
}

// lookAtBuilds finds out, while a universe starts, whether it builds no functions: otherwise the first push would say so. warn says what
// was found.
func lookAtBuilds(ctx context.Context, p place) (warn func(complaint io.Writer)) {
	found := make(chan error, 1)
	go func() {
		_, err := sandbox.Find(ctx)
		found <- err
	}()
	return func(complaint io.Writer) {
		err := <-found
		if _, _, builds := builder(p); builds && err != nil && ctx.Err() == nil {
			fmt.Fprintf(complaint, "warning: no function is built here, websites are: %v\n", err)
		}
	}
}
