package main

import (
	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
)

func logLevelCommand() *cobra.Command {
	var w where
	cmd := &cobra.Command{
		Use: "log-level LEVEL", Args: cobra.ExactArgs(1), ValidArgs: []string{"debug", "info", "warn", "error"},
		Short:   "Change from which level on a node logs, until its next start or SIGHUP",
		Example: "  tau log-level debug -s compute",
	}
	w.asking(cmd, waitFor)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return w.ask(cmd, "log-level", live.LevelRequest{Level: args[0]}, nil, &struct{}{})
	}
	return cmd
}
