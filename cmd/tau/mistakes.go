package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/taucloud/tau/yamltree"
)

// plainMistakes has a command and those below it say which argument is missing, or what there is in place of one that
// there is not.
func plainMistakes(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(flagMistake)
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if check(cmd, args) == nil {
				return nil
			}
			return argsMistake(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		plainMistakes(sub)
	}
}

// argsMistake names the first argument that is missing, or that is too much.
func argsMistake(cmd *cobra.Command, args []string) error {
	wanted := strings.Fields(strings.TrimSuffix(cmd.Use, " [flags]"))[1:]
	usage := cmd.CommandPath() + strings.TrimPrefix(cmd.Use, cmd.Name())
	switch {
	case len(args) < len(wanted):
		return fmt.Errorf("expected %s: %s", wanted[len(args)], usage)
	case len(wanted) == 0:
		return fmt.Errorf("%s takes no arguments, and has been given %q", usage, args[0])
	}
	return fmt.Errorf("%q is one argument too many: %s", args[len(wanted)], usage)
}

// flagMistake suggests what a flag that there is not may have been meant to be.
func flagMistake(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	name := "--" + unknown.GetSpecifiedName()
	return fmt.Errorf("%s: %w; %s", cmd.CommandPath(), err, yamltree.Suggest(name, names))
}

// unknownCommand is about the first word of a command line that should be a command and is none. It is looked for before
// flags are read: those of a command that is misspelt are not the misspelt ones.
func unknownCommand(root *cobra.Command, args []string) error {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	cmd := root
	for _, word := range args {
		if strings.HasPrefix(word, "-") || strings.HasPrefix(word, "__") || !cmd.HasSubCommands() {
			return nil
		}
		var next *cobra.Command
		var names []string
		for _, sub := range cmd.Commands() {
			if sub.Name() == word || sub.HasAlias(word) {
				next = sub
			}
			if !sub.Hidden {
				names = append(names, sub.Name())
			}
		}
		if next == nil {
			return fmt.Errorf("%s has no command %q; %s", cmd.CommandPath(), word, yamltree.Suggest(word, names))
		}
		if cmd = next; cmd.Name() == "help" {
			cmd = root // its words are those of another command
		}
	}
	return nil
}

// counted is a number of things: 1 auth, 2 auths.
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
