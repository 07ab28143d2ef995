package live

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps a terminal's signals from a child, and ends it with the thread that starts it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
