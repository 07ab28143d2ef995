package live

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	sigStop    = syscall.SIGSTOP
	eventually = 20 * time.Second
	tick       = 20 * time.Millisecond
)

// exists reports whether a process runs: one that nobody has waited for does not.
func exists(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(raw), ") Z ")
}
