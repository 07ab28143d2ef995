// Package gogit is a small Git in this program itself, for machines that have none: it fetches a commit into a bare directory, lists what is in it,
// and gives out contents, by go-git. It is a child process of its own, as the system's git would be: what a hostile repository makes
// it use, it uses there, within limits that it sets itself.
//
// It checks nothing of what it lists: who has started it holds each entry against its bounds (package source) and ends it.
package gogit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
)

// Word is the first argument of a program that is to be this Git.
const Word = "fetch-with-go-git"

// The environment of a child: KeysEnv is a directory with the files key and known_hosts, FileMaxEnv bounds a file that it writes, in bytes, and
// SlowEnv how long less than [SlowMin] a second may come over HTTP, as Go writes a duration.
const (
	KeysEnv, FileMaxEnv, SlowEnv = "TAU_FETCH_KEYS", "TAU_FETCH_FILE_MAX", "TAU_FETCH_SLOW"
)

// SlowMin is what a forge has to send each second, in bytes.
const SlowMin = 1024

// What a child answers with by its exit code, beside 0 and what Go ends with.
const (
	ExitBad = 20 + iota
	ExitDenied
	ExitMissing
	ExitTooLarge
	ExitFailed
)

// dataMax bounds the memory of a child, in bytes; from heapMax on it tries hard to need less.
const dataMax, heapMax = 512 << 20, 384 << 20

var able bool

// Able reports whether this program is a Git when it is started with [Word].
func Able() bool { return able }

// Main is for the first line of a program: it ends the process if that was started to be this Git.
func Main() {
	if len(os.Args) < 2 || os.Args[1] != Word {
		able = true
		return
	}
	fileMax, _ := strconv.ParseInt(os.Getenv(FileMaxEnv), 10, 64) // 0: none is written
	if err := limit(fileMax); err != nil {
		fmt.Fprintln(os.Stderr, "fatal:", err)
		os.Exit(ExitFailed)
	}
	debug.SetMemoryLimit(heapMax)
	os.Exit(run(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
}

// failure is an error with an exit code.
type failure struct {
	code int
	text string
}

func (f *failure) Error() string { return f.text }

func failed(code int, format string, args ...any) error {
	return &failure{code, fmt.Sprintf(format, args...)}
}

// run does one thing.
func run(args []string, in io.Reader, out, said io.Writer) int {
	to := bufio.NewWriterSize(out, 64<<10)
	err := do(args, in, to)
	if lost := to.Flush(); err == nil && lost != nil {
		err = failed(ExitFailed, "%v", lost)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(said, "fatal:", err)
	var f *failure
	if errors.As(err, &f) {
		return f.code
	}
	return codeOf(err)
}

func do(args []string, in io.Reader, out *bufio.Writer) error {
	if len(args) == 0 {
		return failed(ExitBad, "nothing is asked for")
	}
	switch what, args := args[0], args[1:]; {
	case what == "make" && len(args) == 1:
		return os.MkdirAll(filepath.Join(args[0], "objects"), 0o700)
	case what == "fetch" && len(args) == 4:
		return fetch(args[0], args[1], args[2], args[3] == "shallow")
	case what == "has" && len(args) == 2:
		_, err := treeOf(args[0], args[1])
		return err
	case what == "list" && len(args) == 2:
		return list(args[0], args[1], out)
	case what == "contents" && len(args) == 1:
		return contents(args[0], in, out)
	case what == "refs" && len(args) == 1:
		return refs(args[0], out)
	}
	return failed(ExitBad, "nothing that is known is asked for")
}
