// Command dreamland is the tool of testers and developers of the cloud: it runs
// scenarios in the simulated world, and on processes of the real one.
package main

import (
	"github.com/taucloud/tau/cmd/dreamland/live"
	"github.com/taucloud/tau/cmd/dreamland/up"
	"github.com/taucloud/tau/cmd/tau/source/gogit"
	"github.com/taucloud/tau/cmd/tau/toolchains/esbuild"
	"github.com/taucloud/tau/dreamland"
	"github.com/taucloud/tau/scenarios/swarm"
	"github.com/taucloud/tau/scenarios/words"
)

func main() {
	gogit.Main()
	esbuild.Main()
	dreamland.With(live.Command, live.TortureCommand, live.FiguresCommand)
	dreamland.With(up.Commands()...)
	dreamland.Main(words.Vocabulary(), swarm.Swarm{})
}
