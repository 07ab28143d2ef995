// Package cmdtest has what scripts that test our command lines share.
package cmdtest

import (
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// ExitStatus runs a command that must end with a status: exit 2 tau ...
func ExitStatus(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%s: exit status %s, expected %s", strings.Join(args[1:], " "), got, args[0])
	}
}
