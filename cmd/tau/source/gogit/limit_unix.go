//go:build linux || darwin

package gogit

import (
	"errors"
	"syscall"
)

// limit bounds this process.
func limit(fileMax int64) error {
	var all error
	for resource, most := range map[int]uint64{syscall.RLIMIT_CORE: 0, syscall.RLIMIT_NOFILE: 256, syscall.RLIMIT_DATA: dataMax, syscall.RLIMIT_FSIZE: uint64(max(0, fileMax))} {
		all = errors.Join(all, syscall.Setrlimit(resource, &syscall.Rlimit{Cur: most, Max: most}))
	}
	return all
}
