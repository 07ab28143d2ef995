package mutant

import (
	"os"
	"syscall"
)

// limit bounds the process; zero is no bound.
func limit(cpuSeconds, bytes uint64) {
	set := func(resource int, to uint64) {
		if to == 0 {
			return
		}
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: to, Max: to}); err != nil {
			fatal(err)
		}
	}
	set(syscall.RLIMIT_CPU, cpuSeconds)
	set(syscall.RLIMIT_DATA, bytes)
}

func mapFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
}
