package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmdline"
)

// watchMin is how often a node is looked at most.
const watchMin = 100 * time.Millisecond

// clearScreen begins a terminal's window anew.
const clearScreen = "\x1b[H\x1b[2J"

// watchStatus shows how the node is, until nobody gets it any more. In a window it takes the place of what was before.
func (w *where) watchStatus(cmd *cobra.Command, every time.Duration, inJSON bool) error {
	out, window := cmd.OutOrStdout(), !inJSON && terminal(os.Stdout)
	for {
		var st live.Status
		err := w.ask(cmd, "status", nil, nil, &st)
		if err != nil && !w.exists() {
			return err // there is no such node
		}
		if window {
			fmt.Fprint(out, clearScreen)
		}
		switch {
		case inJSON && err == nil:
			_ = json.NewEncoder(out).Encode(st) // told below
		case inJSON:
			_ = json.NewEncoder(out).Encode(map[string]any{"ready": false, "error": err.Error()})
		case err == nil:
			fmt.Fprintln(out, time.Now().Format(time.DateTime))
			printStatus(out, st)
		default:
			fmt.Fprintf(out, "%s\n%v\n", time.Now().Format(time.DateTime), err)
		}
		if err := cmdline.Lost(out); err != nil {
			return failure{err}
		}
		time.Sleep(every)
	}
}
