// Command countersim runs stories about counters: the whole command line, in one line.
package main

import (
	"example.com/counter"
	"github.com/taucloud/tau/dreamland"
)

func main() { dreamland.Main(counter.Vocabulary()) }
