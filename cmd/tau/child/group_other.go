//go:build !unix

package child

import "os/exec"

// OwnGroup does nothing here: the command alone is ended.
func OwnGroup(*exec.Cmd) {}
