package source

import (
	"fmt"
	"strconv"
	"time"

	"github.com/taucloud/tau/cmd/tau/source/gogit"
)

// words are the arguments with which a Git does what a fetch needs. Of a bare directory each is told where it is.
type words interface {
	// make makes the bare directory, fetch gets a ref or a commit as the branch that spec names, has succeeds if a commit is there.
	make(bare string) []string
	fetch(bare, url, spec string, shallow bool) []string
	has(bare, commit string) []string
	// list prints what is in a commit, contents what IDs on the standard input stand for: as git's ls-tree and cat-file do.
	list(bare, commit string) []string
	contents(bare string) []string
	// refs prints where branches are; heads: these alone, otherwise what is shown first as well.
	refs(url string, heads bool) []string
}

// systemWords are those of the system's git.
type systemWords struct{ slow time.Duration }

func (systemWords) make(bare string) []string {
	return []string{"init", "--quiet", "--bare", "--template=", bare}
}

// http are settings for what goes over it: who sends nearly nothing, or us on, is left.
func (w systemWords) http() []string {
	seconds := max(1, int64(w.slow/time.Second))
	return []string{"-c", fmt.Sprintf("http.lowSpeedLimit=%d", gogit.SlowMin), "-c", fmt.Sprintf("http.lowSpeedTime=%d", seconds), "-c", "http.followRedirects=false"}
}

func (w systemWords) fetch(bare, url, spec string, shallow bool) []string {
	args := append(w.http(),
		"-C", bare, "-c", "core.hooksPath=/dev/null", "-c", "fetch.unpackLimit=1", "-c", "core.bigFileThreshold=1m", "-c", "fetch.fsckObjects=true",
		"-c", "gc.auto=0", "-c", "maintenance.auto=false",
		"fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head",
	)
	if shallow {
		args = append(args, "--depth=1")
	}
	return append(args, "--", url, spec)
}

func (systemWords) has(bare, commit string) []string {
	return []string{"-C", bare, "cat-file", "-e", commit + "^{commit}"}
}

func (systemWords) list(bare, commit string) []string {
	return []string{"-C", bare, "ls-tree", "-r", "-t", "-z", "-l", "--full-tree", commit}
}

func (systemWords) contents(bare string) []string {
	return []string{"-C", bare, "cat-file", "--batch", "--buffer"}
}

func (w systemWords) refs(url string, heads bool) []string {
	args := append(w.http(), "ls-remote", "--quiet")
	if heads {
		args = append(args, "--heads")
	}
	return append(args, "--", url)
}

// ownWords are those of the Git in this program.
type ownWords struct{}

func (ownWords) make(bare string) []string { return []string{gogit.Word, "make", bare} }

func (ownWords) fetch(bare, url, spec string, shallow bool) []string {
	how := "whole"
	if shallow {
		how = "shallow"
	}
	return []string{gogit.Word, "fetch", bare, url, spec, how}
}

func (ownWords) has(bare, commit string) []string { return []string{gogit.Word, "has", bare, commit} }

func (ownWords) list(bare, commit string) []string { return []string{gogit.Word, "list", bare, commit} }

func (ownWords) contents(bare string) []string { return []string{gogit.Word, "contents", bare} }

func (ownWords) refs(url string, _ bool) []string { return []string{gogit.Word, "refs", url} }

// kinds are what the Git in this program ends with.
var kinds = map[int]Kind{gogit.ExitBad: Bad, gogit.ExitDenied: Denied, gogit.ExitMissing: Missing, gogit.ExitTooLarge: TooLarge, gogit.ExitFailed: Failed}

// ownEnv is what the Git in this program is told beside its arguments.
func (j *job) ownEnv() []string {
	return []string{gogit.KeysEnv + "=" + j.keys, gogit.FileMaxEnv + "=" + strconv.FormatInt(j.PackLen, 10), gogit.SlowEnv + "=" + j.Slow.String()}
}
