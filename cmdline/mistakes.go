// Package cmdline is what our command lines have in common: plain words for what was typed wrong, and output that is not
// lost without a word, ports that nobody has, and secrets that are typed in. It knows no command.
package cmdline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/taucloud/tau/yamltree"
)

// PlainMistakes has a command and those below it say in plain words what is wrong with arguments and flags, and what was
// probably meant.
func PlainMistakes(cmd *cobra.Command) {
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
		PlainMistakes(sub)
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

// flagMistake says what is wrong with a flag.
func flagMistake(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var without *pflag.ValueRequiredError
	var bad *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		name := "--" + unknown.GetSpecifiedName()
		if letters := unknown.GetSpecifiedShortnames(); letters != "" {
			name = "-" + unknown.GetSpecifiedName()
		}
		return fmt.Errorf("%s has no flag %s; %s", cmd.CommandPath(), name, yamltree.Suggest(name, flagNames(cmd)))
	case errors.As(err, &without):
		return fmt.Errorf("--%s: expected a value", without.GetSpecifiedName())
	case errors.As(err, &bad):
		text := bad.Unwrap().Error()
		if what, known := valueTypes[bad.GetFlag().Value.Type()]; known {
			text = "expected " + what
		}
		return fmt.Errorf("--%s %s: %s", bad.GetFlag().Name, bad.GetValue(), text)
	}
	return errors.New(strings.ReplaceAll(err.Error(), "pflag: ", ""))
}

func flagNames(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	return names
}

// valueTypes are those of flags, in plain words.
var valueTypes = map[string]string{
	"int":      "a whole number",
	"uint32":   "a whole number",
	"uint64":   "a whole number",
	"float64":  "a number",
	"bool":     "true or false",
	"duration": "a time such as 90s, 10m or 1h",
}

// UnknownCommand is about the first word of a command line that should be a command and is none. It is looked for before
// flags are read: those of a command that is misspelt are not the misspelt ones.
func UnknownCommand(root *cobra.Command, args []string) error {
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
