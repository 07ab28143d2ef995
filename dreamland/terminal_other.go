//go:build !unix

package dreamland

import "os"

// windowColumns does not know terminals here.
func windowColumns(*os.File) (columns int, terminal bool) { return 0, false }
