// Command dreamland is the tool of testers and developers of the cloud: it runs
// scenarios in the simulated world.
package main

import (
	"github.com/taucloud/tau/dreamland"
	"github.com/taucloud/tau/scenarios/swarm"
	"github.com/taucloud/tau/scenarios/words"
)

func main() { dreamland.Main(words.Vocabulary(), swarm.Swarm{}) }
