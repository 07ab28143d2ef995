package sandbox

import (
	"bytes"
	"encoding/binary"
	"runtime"

	"golang.org/x/sys/unix"
)

// The offsets of what a filter sees of a system call (struct seccomp_data of the kernel): its number, the architecture
// whose numbers it has, and the lower half of its first two arguments on machines with little ends first.
const (
	atNumber, atArch, atFirst, atSecond = 0, 4, 16, 24
)

// What a filter answers (linux/seccomp.h): do it, say that it is not permitted, end the process.
const (
	allowed   = 0x7fff0000
	forbidden = 0x00050000 | uint32(unix.EPERM)
	ended     = 0x80000000
)

// x32 is the bit in the numbers of x86-64's other calls, which would walk round a list of numbers.
const x32 = 0x40000000

// architectures are those that filters are made for, by Go's name.
var architectures = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// refused are the calls that no build needs and that have given kernels away.
var refused = []uint32{
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN,
	unix.SYS_FSMOUNT, unix.SYS_FSCONFIG, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE,
	unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_REBOOT,
	unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_SYSLOG, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME,
	unix.SYS_FANOTIFY_INIT, unix.SYS_PIDFD_GETFD,
	// Memory and queues that are no process's and no file's: without a control group nothing counts them.
	unix.SYS_MEMFD_CREATE, unix.SYS_MEMFD_SECRET, unix.SYS_SHMGET, unix.SYS_MSGGET, unix.SYS_SEMGET, unix.SYS_MQ_OPEN,
}

// filter is the program for the kernel by which a run's system calls are judged, as bubblewrap reads it; false: none is
// known for this machine. With a network a run may have sockets of the Internet and none of this machine. A call by the numbers of another architecture ends the process, as they would mean something else.
func filter(network bool) ([]byte, bool) {
	arch, ok := architectures[runtime.GOARCH]
	if !ok {
		return nil, false
	}
	families := [2]uint32{unix.AF_UNIX, unix.AF_UNIX}
	if network {
		families = [2]uint32{unix.AF_INET, unix.AF_INET6}
	}
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	give := func(answer uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: answer}
	}
	jump := func(test uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	program := []unix.SockFilter{
		load(atArch), jump(unix.BPF_JEQ, arch, 1, 0), give(ended),
		load(atNumber), jump(unix.BPF_JGE, x32, 0, 1), give(ended),
	}
	for _, number := range refused {
		program = append(program, jump(unix.BPF_JEQ, number, 0, 1), give(forbidden))
	}
	program = append(program,
		// socket(family, ...): only those of this machine's own file systems, of which the run has its own; or only those of networks.
		jump(unix.BPF_JEQ, unix.SYS_SOCKET, 0, 5), load(atFirst), jump(unix.BPF_JEQ, families[0], 2, 0), jump(unix.BPF_JEQ, families[1], 1, 0), give(forbidden), give(allowed),
		// ioctl(fd, TIOCSTI, ...) types into a terminal, TIOCLINUX as well.
		jump(unix.BPF_JEQ, unix.SYS_IOCTL, 0, 4), load(atSecond), jump(unix.BPF_JEQ, unix.TIOCSTI, 1, 0), jump(unix.BPF_JEQ, unix.TIOCLINUX, 0, 1), give(forbidden),
		give(allowed),
	)
	var out bytes.Buffer
	for _, i := range program {
		_ = binary.Write(&out, binary.LittleEndian, i) // struct sock_filter: u16, u8, u8, u32
	}
	return out.Bytes(), true
}
