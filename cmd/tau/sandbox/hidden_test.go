//go:build linux

package sandbox

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Memory that is in no process, or in none that shows it, counts all the same, or is not to be had.
func TestMemoryThatIsNowhereToBeSeen(t *testing.T) {
	t.Parallel()
	sandboxFor(t)
	for name, script := range map[string]string{
		"files in memory":       `perl -e '$m = "x" x (8<<20); for (1..60) { $fd = syscall(319, $n = "x", 0); die "refused" if $fd < 0; open($f[$_], ">&=", $fd) or die; syswrite($f[$_], $m) == 8<<20 or die "short" } sleep 2; print "reached\n"'`,
		"segments of SysV":      `perl -e '$m = "x" x (8<<20); for (1..60) { $id = shmget(0, 8<<20, 0600); die "refused" unless defined $id; shmwrite($id, $m, 0, 8<<20) or die "short" } sleep 2; print "reached\n"'`,
		"pages that are shared": `perl -e 'for (1..60) { $p = syscall(9, 0, 8<<20, 3, 0x21, -1, 0); die "refused" if $p < 0; syscall(28, $p, 8<<20, 23) == 0 or die "populate $!"; syscall(28, $p, 8<<20, 4) } sleep 2; print "reached\n"'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, said, err := says(t, script+`; exit 3`)
			require.True(t, IsFault(err), "%v", err)
			require.NotContains(t, said, "reached")
			require.True(t, strings.Contains(said, "refused") || strings.Contains(err.Error(), "MiB of memory"), "%s %v", said, err)
		})
	}
}
