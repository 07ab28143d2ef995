package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/cmd/tau/source"
	"github.com/taucloud/tau/cmd/tau/toolchains"
	"github.com/taucloud/tau/services/monkey/monkeyapi"
)

// buildsWithin bounds the look at toolchains: each is run.
const buildsWithin = 3 * time.Minute

// builds is what a node needs that builds what was pushed.
func (d *doctor) builds(s *shape.Shape) {
	if !slices.Contains(s.Services, monkeyapi.Service) {
		return
	}
	switch git, err := source.FindGit(""); {
	case err != nil:
		d.warn("builds", "apt-get install git", "%v: nothing is fetched from forges", err)
	case git.Own:
		d.ok("builds", "there is no git: what is at forges is fetched by %s, but for repositories with SHA-256", git.Backend())
	default:
		d.ok("builds", "git is there")
	}
	ctx, cancel := context.WithTimeout(d.cmd.Context(), buildsWithin)
	defer cancel()
	for _, f := range live.Toolchains(s, d.paths, false, "", func(string) {}).Look(ctx) {
		var missing *toolchains.Missing
		switch {
		case f.Err == nil:
			d.ok("builds", "%s: %s", f.Name, f.Version)
		case errors.As(f.Err, &missing):
			d.warn("builds", missing.Remedy, "%s: %s", f.Name, missing.What)
		default:
			d.warn("builds", "look at what it says", "%s: %v", f.Name, f.Err)
		}
	}
}
