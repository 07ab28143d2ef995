package sandbox

import (
	"os"
	"strconv"
	"syscall"
)

// keepOwn keeps the descriptors that this process was started with from its children: bubblewrap closes none, and a directory of the machine
// that a shell or flock(1) has left open would lead a run out of its sandbox. Those that Go has opened are kept from them anyway.
func keepOwn() error {
	entries, err := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	return err
}
