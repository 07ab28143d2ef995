package project

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// TestAnEmptyFolderIsNone: Git does not keep it, so what was pushed would not have it.
func TestAnEmptyFolderIsNone(t *testing.T) {
	files := fstest.MapFS{
		"tau.yaml":               {Data: []byte("name: p\nwebsites: {site: }\n")},
		"websites/site/css/deep": {Mode: fs.ModeDir | 0o755},
	}
	_, err := Load(files)
	require.ErrorContains(t, err, "website site: there is no folder websites/site with a file in it")
	files["websites/site/css/deep/a.css"] = &fstest.MapFile{}
	_, err = Load(files)
	require.NoError(t, err)
}
