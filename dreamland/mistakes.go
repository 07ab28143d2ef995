package dreamland

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/taucloud/tau/sim/scenario"
)

// plainMistakes makes a command and those below it say in plain words what is wrong
// with arguments and flags, and what was probably meant.
func plainMistakes(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagMistake(cmd, err) })
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

// argsMistake says what a command takes instead of args.
func argsMistake(cmd *cobra.Command, args []string) error {
	if !cmd.HasAvailableSubCommands() || len(args) == 0 {
		return fmt.Errorf("expected: %s", cmd.UseLine())
	}
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return fmt.Errorf("there is no command %q; %s", args[0], scenario.Suggest(args[0], names))
}

// flagMistake says what is wrong with a flag.
func flagMistake(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var without *pflag.ValueRequiredError
	var bad *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, "--"+f.Name)
			}
		})
		name := "--" + unknown.GetSpecifiedName()
		return fmt.Errorf("%s has no flag %s; %s", cmd.CommandPath(), name, scenario.Suggest(name, names))
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

// beginningMin is how much of a name says which one is meant.
const beginningMin = 4

// suggestName is a hint for a name that is none: those that begin like it, or the
// closest one.
func suggestName(name string, known []string) string {
	known = slices.DeleteFunc(slices.Clone(known), func(k string) bool { return len(k) > hintLength || !typeable.MatchString(k) })
	if longer := beginWith(name, known); len(longer) > 0 {
		return "did you mean one of these? " + strings.Join(longer[:min(len(longer), hintNames)], " ")
	}
	return scenario.SuggestFew(name, known, hintNames)
}

// A hint is a line: names that are too long to type are no help.
const (
	hintNames  = 5  // that are spelt out
	hintLength = 64 // of each, in bytes: an id is shorter
)

// typeable is a name of something, and no text or list that a fact has.
var typeable = regexp.MustCompile(`^[\w./-]+$`)

// beginWith are the names that begin with a text that is long enough.
func beginWith(text string, names []string) (list []string) {
	for _, n := range names {
		if len(text) >= beginningMin && strings.HasPrefix(n, text) {
			list = append(list, n)
		}
	}
	return list
}

// valueTypes are those of flags, in plain words.
var valueTypes = map[string]string{
	"int":      "a whole number",
	"uint64":   "a whole number",
	"float64":  "a number",
	"bool":     "true or false",
	"duration": "a time such as 90s, 10m or 1h",
}
