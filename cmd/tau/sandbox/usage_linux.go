package sandbox

import (
	"bufio"
	"bytes"
	"io"
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

// memoryOf is what a process and all below it have in memory, in bytes. What they share without a file counts whole, once, whether it is in memory
// or not: pages of it that a process lets go stay where they are, and are then none of its own.
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
	sum, todo, shared := int64(0), []int{root}, map[string]int64{}
	for len(todo) > 0 {
		pid := todo[0]
		todo = append(todo[1:], below[pid]...)
		sum += pages[pid]
		delete(below, pid)
		for id, n := range sharedOf(pid) {
			shared[id] = max(shared[id], n)
		}
	}
	sum *= int64(os.Getpagesize())
	for _, n := range shared {
		sum += n
	}
	return sum
}

// mapsMax bounds how much is read of what a process has mapped, in bytes.
const mapsMax = 4 << 20

// sharedOf is what a process has mapped to share without a file, by the number that the kernel has for it.
func sharedOf(pid int) map[string]int64 {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/maps")
	if err != nil {
		return nil // it has ended
	}
	defer f.Close()
	var found map[string]int64
	for lines := bufio.NewScanner(io.LimitReader(f, mapsMax)); lines.Scan(); {
		line, is := bytes.CutSuffix(lines.Bytes(), []byte("/dev/zero (deleted)"))
		words := strings.Fields(string(line)) // FROM-TO RIGHTS OFFSET DEVICE INODE
		if !is || len(words) != 5 {
			continue
		}
		from, to, _ := strings.Cut(words[0], "-")
		begin, err := strconv.ParseUint(from, 16, 64)
		end, also := strconv.ParseUint(to, 16, 64)
		if err != nil || also != nil {
			continue
		}
		if found == nil {
			found = map[string]int64{}
		}
		found[words[4]] += int64(end - begin)
	}
	return found
}
