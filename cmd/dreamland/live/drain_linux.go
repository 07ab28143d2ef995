package live

import (
	"os"

	"golang.org/x/sys/unix"
)

// unread is how many bytes a pipe has, 0 if it is closed.
func unread(pipe *os.File) (n int) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }) // of a closed one, 0
	return n
}
