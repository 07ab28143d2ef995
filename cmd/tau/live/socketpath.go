package live

import (
	"fmt"
	"os"
	"path/filepath"
)

// socketPathMax is how long the path of a unix socket may be, in bytes: sockaddr_un has 108.
const socketPathMax = 100

// shortPath is another name of a socket, if its path is too long: below /proc, by its directory that is held
// open until release is called.
func shortPath(path string) (short string, release func(), err error) {
	if len(path) <= socketPathMax {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	short = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	if _, err := os.Stat(filepath.Dir(short)); err != nil {
		_ = dir.Close()
		return "", nil, fmt.Errorf("the path of the socket, %s, has more than %d bytes, and there is no /proc: choose a shorter --root", path, socketPathMax)
	}
	return short, func() { _ = dir.Close() }, nil
}
