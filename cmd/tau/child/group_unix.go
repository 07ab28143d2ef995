//go:build unix

package child

import (
	"os/exec"
	"syscall"
)

// OwnGroup lets a command and all that it starts be ended together.
func OwnGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
