package scenario

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/taucloud/tau/yamltree"
)

// Load reads a scenario file and parses it. Errors of the contents are of type [Errors]; a file
// that cannot be read is another error.
func Load(path string, words Vocabulary) (*Scenario, error) {
	info, err := os.Stat(path) // before it is opened: opening a pipe may block for ever
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file", path)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s: is a directory; name a scenario file in it", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: is not a file but a pipe or a device; save the scenario in a file, which can be read again to replay it", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, FileLenMax+1))
	if err != nil {
		return nil, err
	}
	if len(data) > FileLenMax {
		return nil, yamltree.TooLarge(path, max(info.Size(), int64(len(data))), dialect)
	}
	return Parse(path, data, words)
}
