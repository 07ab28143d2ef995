//go:build unix

package dreamland

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// windowColumns is how wide the window of a terminal is: as it says itself, or else as
// COLUMNS says, or 0. A file that is none has no window.
func windowColumns(f *os.File) (columns int, terminal bool) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	if size.Col == 0 {
		columns, _ = strconv.Atoi(os.Getenv("COLUMNS")) // 0 for what is no number
		return max(0, columns), true
	}
	return int(size.Col), true
}
