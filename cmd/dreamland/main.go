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
	dreamland.Introduce(`dreamland runs a whole cloud on this machine - a universe, to which projects are pushed by Git - and scenarios: stories about a cloud of
nodes, its users and its faults, written in YAML. The services are the real ones in both; in a scenario time, network and disks are simulated, so that a
seed fixes everything that happens.`, `  dreamland up --detach
  dreamland new project tea --template website && cd tea && git push dreamland main
  dreamland sim scenarios/monkey-lock-race.yaml
  dreamland scenario words crash`)
	dreamland.With(live.Command, live.TortureCommand, live.FiguresCommand)
	dreamland.With(up.Commands()...)
	dreamland.Main(words.Vocabulary(), swarm.Swarm{})
}
