package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each command that takes a name, and asks a node about it, is tried with one that nobody knows.
func TestCommandsAreAskedForWhatNobodyKnows(t *testing.T) {
	script, err := os.ReadFile("testdata/script/unknown.txt")
	require.NoError(t, err)
	ownWords := map[string]string{
		"tau functions": "a name leaves out others", "tau push": "a project is made by it", "tau auth project add": "it makes the name", "tau auth secret list": "a name leaves out others",
		"tau auth domain prove": "it answers what is not there yet", "tau auth certificate put": "what it reads is wrong before", "tau auth secret put": "what it reads is wrong before", "tau debug bundle": "a file",
		"tau auth audit": "a name leaves out others", "tau auth certificate list": "a name leaves out others", "tau auth domain list": "a name leaves out others", "tau auth repository list": "a name leaves out others",
		"tau jobs": "a name leaves out others", "tau log-level": "there are four",
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Flags().Lookup("wait") == nil || !strings.Contains(c.Use, " ") || ownWords[c.CommandPath()] != "" {
			return
		}
		assert.True(t, strings.Contains(string(script), "exit 1 "+c.CommandPath()+" "), "%s: a name that nobody knows is status 1, or say here why there is none", c.CommandPath())
	}
	walk(rootCommand())
}
