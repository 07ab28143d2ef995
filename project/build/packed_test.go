package build

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhatIsPacked: what gets shorter, once, and no more than there is room for; equal files make equal archives.
func TestWhatIsPacked(t *testing.T) {
	text := []byte(strings.Repeat("text ", 1000))
	noise := make([]byte, 5000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	files := []File{{"a.html", text}, {"b.html", text}, {"b.html.gz", []byte("own")}, {"c.png", text}, {"d.txt", noise}, {"e.txt", []byte("short")}, {"_headers.txt", text}, {"f/G.CSS", text}}
	made, err := packSite(files)
	require.NoError(t, err)
	again, err := packSite(files)
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(made), sha256.Sum256(again))
	z, err := zip.NewReader(bytes.NewReader(made), int64(len(made)))
	require.NoError(t, err)
	var packed []string
	for _, f := range z.File {
		if f.Comment == PackedComment {
			packed = append(packed, f.Name)
		}
	}
	require.Equal(t, []string{"a.html.gz", "a.html.br", "b.html.br", "f/G.CSS.gz", "f/G.CSS.br"}, packed)
	require.Len(t, z.File, len(files)+5)

	var many []File
	for i := range packFiles - 10 {
		many = append(many, File{fmt.Sprint(i, ".txt"), text})
	}
	require.Len(t, packedOf(many), 0, "there is no room for it: %d bytes", len(many)*len(text))
	require.Len(t, packedOf(many[:100]), 200)
}
