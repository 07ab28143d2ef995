package dreamland

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/taucloud/tau/sim/scenario"
)

func (f *simFlags) check(files int) error {
	switch {
	case f.seeds < 1 || f.seeds > seedsMax:
		return fmt.Errorf("--seeds %d: expected 1 to %d", f.seeds, seedsMax)
	case f.many.check() != nil:
		return f.many.check()
	case f.many.given() && (f.verify || f.trace != "" || f.explain != ""):
		return errors.New("--for, --shard, --stop-on-failure, --results, --coverage: they are for many seeds, without --verify, --trace and --explain")
	case f.jobs < 1 || f.jobs > 1024:
		return fmt.Errorf("--jobs %d: expected 1 to 1024", f.jobs)
	case f.wire != "" && f.wire != scenario.Mocknet && f.wire != scenario.Direct:
		return fmt.Errorf("--wire %s: expected mocknet or direct", f.wire)
	case f.explain != "" && (f.seeds > 1 || files > 1 || f.verify):
		return errors.New("--explain: one run is explained; name one file, and no --seeds and --verify")
	case f.html != "" && (f.seeds > 1 || files > 1 || f.verify || f.many.given()):
		return errors.New("--html: a page shows one run; name one file, and no --seeds and --verify")
	case f.trace != "" && (f.seeds > 1 || files > 1):
		return errors.New("--trace: one trace holds one run; name one file, and no --seeds")
	}
	return nil
}

// overwrites returns an error if what is written would take the place of a scenario or of
// something else that is written.
func (f *simFlags) overwrites(files []string) error {
	for flag, name := range map[string]string{"--html": f.html, "--trace": f.trace} {
		for _, file := range files {
			if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && sameFile(name, file) {
				return fmt.Errorf("%s %s: it is the scenario; name another file", flag, name)
			}
		}
	}
	if f.html != "" && (filepath.Clean(f.html) == filepath.Clean(f.trace) || sameFile(f.html, f.trace)) {
		return fmt.Errorf("--html %s: the trace goes there; name another file", f.html)
	}
	return nil
}

// writable finds out before the run what could not be written after it.
func (f *simFlags) writable() error {
	return cmp.Or(writableFile("--html", f.html), writableDir("--keep", f.keep), writableDir("--results", f.many.results))
}

// seedValue is a flag that may be left out.
type seedValue struct {
	seed uint64
	set  bool
}

func (v *seedValue) String() string { return "" }

func (v *seedValue) Type() string { return "uint" }

// Set implements pflag.Value.
func (v *seedValue) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return fmt.Errorf("a seed is a whole number from 0 to %d", uint64(math.MaxUint64))
	}
	v.seed, v.set = n, true
	return nil
}

// or is the seed, or another one if the flag was left out.
func (v *seedValue) or(other uint64) uint64 {
	if v.set {
		return v.seed
	}
	return other
}

// sameNames returns an error if what two scenarios come to would be kept in one file.
func (f *simFlags) sameNames(stories []*scenario.Scenario) error {
	files := map[string]string{}
	for _, s := range stories {
		if other, is := files[s.Name]; is && (f.many.results != "" || f.keep != "") {
			return fmt.Errorf("%s and %s have one name, %s, by which --results and --keep call their files: give one of them another", other, s.File, s.Name)
		}
		files[s.Name] = s.File
	}
	return nil
}
