package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everyCommand calls f with each command that does something.
func everyCommand(c *cobra.Command, f func(c *cobra.Command)) {
	for _, sub := range c.Commands() {
		if sub.Hidden || sub.Name() == "help" || sub.Name() == "completion" {
			continue // cobra's own
		}
		if sub.Runnable() && !sub.HasSubCommands() {
			f(sub)
		}
		everyCommand(sub, f)
	}
}

// TestEachCommandHasExamples, which are commands that there are with flags that they have.
func TestEachCommandHasExamples(t *testing.T) {
	everyCommand(rootCommand(), func(c *cobra.Command) {
		require.NotEmpty(t, c.Short, c.CommandPath())
		assert.Contains(t, c.Example, c.CommandPath(), "an example of %s", c.CommandPath())
		for line := range strings.Lines(c.Example) {
			typed := line[strings.Index(line, "tau"):]
			typed, _, _ = strings.Cut(typed, " | ")
			typed, _, _ = strings.Cut(typed, " > ")
			typed, _, _ = strings.Cut(typed, " #")
			root := rootCommand()
			found, rest, err := root.Find(strings.Fields(typed)[1:])
			assert.NoError(t, err, line)
			assert.False(t, found.HasSubCommands(), line)
			assert.NoError(t, found.ParseFlags(rest), line)
		}
	})
}

// TestWhatReadsHasJSON: each command that shows something prints it as JSON as well.
func TestWhatReadsHasJSON(t *testing.T) {
	acts := map[string]bool{ // what these do is no list of things that anybody reads by a program
		"tau start": true, "tau leave": true, "tau revoke": true, "tau rollback": true, "tau certify": true, "tau man": true, "tau log-level": true,
		"tau config generate": true, "tau config export": true, "tau config import": true, "tau config systemd": true, "tau config schema": true,
		"tau debug bundle": true, "tau project new": true, "tau project schema": true,
	}
	everyCommand(rootCommand(), func(c *cobra.Command) {
		assert.True(t, acts[c.CommandPath()] || c.Flags().Lookup("json") != nil, "%s has no --json", c.CommandPath())
	})
}
