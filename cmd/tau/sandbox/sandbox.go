// Package sandbox runs a program that nobody trusts - a step of a build, with code that somebody has pushed - so that it
// sees nothing of the machine, reaches nobody, and ends within its limits with all that it has started.
//
// A run has no directory of the machine to write to: its files come in as an archive by standard input, into a file
// system in memory of a bounded size, and what it makes leaves through a pipe, of a bounded length. So no link, no device
// and no name that it leaves behind is ever followed by anybody.
package sandbox

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound a run. All of them always hold.
type Limits struct {
	// Within bounds it by the clock, CPU the processor time of each of its processes.
	Within, CPU time.Duration
	// Memory bounds that of all its processes together, in bytes; what one process may ask for is bounded by it as well.
	Memory int64
	// Disk bounds its files in bytes, which are in memory too: as much as that of the build and as much of /tmp, but all of them and what its
	// processes have never more than Memory and Disk together. That is exact in a control group, and otherwise looked at each [watchEvery].
	Disk int64
	// Entries bounds how many files, folders and links it makes, looked at with the memory: each takes some of the kernel's, which nothing else counts.
	Entries int64
	// Processes bounds how many there are at once.
	Processes int
	// Output bounds what it says, in bytes; a run that says more is ended.
	Output int64
	// Result bounds what it makes, in bytes.
	Result int64
}

// together bounds memory and files of a run, in bytes.
func (l Limits) together() int64 { return l.Memory + l.Disk }

// DefaultLimits are enough for the toolchains that are known, and for what people build with them. A step ends before the
// attempt does, for which patrick gives ten minutes (build-max): then it is its author's error, and is not tried again.
var DefaultLimits = Limits{
	Within: 8 * time.Minute, CPU: 10 * time.Minute, Memory: 1 << 30, Disk: 512 << 20, Entries: 200_000, Processes: 256, Output: 1 << 20, Result: 64 << 20,
}

// Job is a program to run.
type Job struct {
	// Script is for a shell, in the folder Folder of the files. What it leaves as $RESULT, a plain file, is the result.
	Script string
	Folder string
	// Files lie below the folder $BUILD when it begins; it may change them. Paths are clean, relative and slash-separated.
	Files []File
	// Base is an archive (tar) of the node's own, whose files lie there as well; "": none.
	Base string
	// Env is its whole environment, beside PATH, HOME, LC_ALL, BUILD, RESULT and those of the mounts. Values may be secrets: they are in no argument and in no error.
	Env map[string]string
	// Secrets are in no line that it says: *** is there instead of one. Those of less than [secretMin] bytes are not looked for.
	Secrets []string
	// Network lets it reach the network, and with it what listens on this machine; not the machine's unix sockets.
	Network bool
	// Mounts are what it sees of the machine beside /usr, by where it sees it; it can change none of it, but for the one that is Writable.
	Mounts []Mount
	Limits Limits
	// Line is called for each line that it says, by a goroutine of the run, without control characters, at most [lineMax] bytes.
	Line func(string)
}

// File is a file of a job.
type File struct {
	Path string
	Data []byte
}

// Mount is a folder or file of the machine that a run sees.
type Mount struct {
	From, To string
	// Env names the variable by which a script knows where it is; "": none.
	Env string
	// Writable is for what the node itself runs, never for what was pushed.
	Writable bool
}

// Fault is what a job itself has done wrong: it failed, or went beyond its limits. Another try would end in the same way.
type Fault struct{ Text string }

func (f *Fault) Error() string { return f.Text }

func fault(format string, args ...any) error { return &Fault{fmt.Sprintf(format, args...)} }

// IsFault reports whether an error is the job's own fault.
func IsFault(err error) bool {
	var f *Fault
	return errors.As(err, &f)
}
