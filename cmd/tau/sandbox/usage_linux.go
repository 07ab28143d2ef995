package sandbox

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// What a run uses, as the kernel tells.

// filesOf is how many files and folders there are in the file systems that a run writes to, and how many bytes they have, by its first process.
// What cannot be asked has ended, or has not begun: until bubblewrap has made the run's root, the process still sees that of the machine.
func filesOf(pid int) (made, size int64) {
	root := "/proc/" + strconv.Itoa(pid) + "/root"
	ours, err := os.Stat("/")
	theirs, also := os.Stat(root)
	if err != nil || also != nil || os.SameFile(ours, theirs) {
		return 0, 0
	}
	for _, dir := range []string{"/tmp", "/build"} {
		var s syscall.Statfs_t
		if syscall.Statfs(root+dir, &s) == nil {
			made += int64(s.Files - s.Ffree)
			size += int64(s.Blocks-s.Bfree) * int64(s.Bsize)
		}
	}
	return made, size
}

// memoryOf is what a process and all below it have in memory, in bytes.
func memoryOf(root int) int64 {
	below := map[int][]int{}
	pages := map[int]int64{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		// The name, in parentheses, may have anything in it. After it come the state, the parent and, as the 22nd, the resident pages.
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		if len(fields) < 22 {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		pages[pid], _ = strconv.ParseInt(fields[21], 10, 64)
		below[parent] = append(below[parent], pid)
	}
	sum, todo := int64(0), []int{root}
	for len(todo) > 0 {
		pid := todo[0]
		todo = append(todo[1:], below[pid]...)
		sum += pages[pid]
		delete(below, pid)
	}
	return sum * int64(os.Getpagesize())
}
