package child

import (
	"os"
	"strconv"
	"syscall"
)

// KeepOwn keeps the descriptors that this process was started with from its children: most programs close none, and a directory of the machine
// that a shell or flock(1) has left open would lead a build out of its sandbox, or a fetch to files that are none of its business.
// Those that Go has opened are kept from them anyway.
func KeepOwn() error {
	entries, err := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return err
}
