//go:build !linux

package live

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps a terminal's signals from a child. It ends when its orders do: with this process, unless it is stopped then.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
