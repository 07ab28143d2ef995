package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
)

// bundle is what a node is beside its data: whoever has it can be this node.
type bundle struct {
	Format      int    `json:"format"`
	Shape       string `json:"shape"`
	Config      []byte `json:"config"`
	Certificate []byte `json:"certificate,omitempty"`
	CloudKey    []byte `json:"cloud-key,omitempty"`
}

const (
	bundleFormat = 1
	// bundleLenMax bounds a sealed bundle, in bytes.
	bundleLenMax = 1 << 20
	// passphraseLenMin is the least that is taken for a passphrase, in bytes.
	passphraseLenMin = 12
)

// passphraseFlag is a file, since nothing asks and command lines are seen by others.
func passphraseFlag(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVar(into, "passphrase-file", "", "a file with the passphrase, of at least 12 characters")
}

func passphrase(path string) (string, error) {
	if path == "" {
		return "", errors.New("--passphrase-file: expected a file with the passphrase")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--passphrase-file: %w", err)
	}
	text := strings.TrimRight(string(raw), "\r\n")
	if len(text) < passphraseLenMin {
		return "", fmt.Errorf("--passphrase-file: %s has less than %d characters", path, passphraseLenMin)
	}
	return text, nil
}

func exportCommand() *cobra.Command {
	var w where
	var file string
	cmd := &cobra.Command{
		Use: "export", Args: cobra.NoArgs, Short: "Print a node's configuration, keys and certificate, sealed with a passphrase",
		Long: `What tau config import makes the same node of, on this machine or another: its configuration, its key and its certificate, encrypted with
age (age --decrypt opens it, too). Two nodes must never run with it at the same time. It has no data: others have copies of that.`,
		Example: "  tau config export -s compute --passphrase-file /safe/phrase > compute.age",
	}
	w.flags(cmd)
	passphraseFlag(cmd, &file)
	withCloud := cmd.Flags().Bool("with-cloud-key", false, "the cloud's key, too, if it is here")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		phrase, err := passphrase(file)
		if err != nil {
			return err
		}
		paths := shape.PathsOf(w.root, w.shape)
		b := bundle{Format: bundleFormat, Shape: w.shape}
		if _, err := shape.Load(paths.Config); err != nil {
			return err
		}
		if b.Config, err = os.ReadFile(paths.Config); err != nil {
			return failure{err}
		}
		if b.Certificate, err = os.ReadFile(paths.Certificate); err != nil && !os.IsNotExist(err) {
			return failure{err}
		}
		if *withCloud {
			if b.CloudKey, err = os.ReadFile(paths.CloudKey); err != nil {
				return fmt.Errorf("--with-cloud-key: %w", err)
			}
		}
		return seal(cmd.OutOrStdout(), b, phrase)
	}
	return cmd
}

func seal(out io.Writer, b bundle, phrase string) error {
	to, err := age.NewScryptRecipient(phrase)
	if err != nil {
		return err
	}
	w, err := age.Encrypt(out, to)
	if err != nil {
		return failure{err}
	}
	if err := json.NewEncoder(w).Encode(b); err != nil {
		return failure{err}
	}
	return w.Close()
}

func importCommand() *cobra.Command {
	var w where
	var file string
	cmd := &cobra.Command{
		Use: "import FILE", Args: cobra.ExactArgs(1), Short: "Write the configuration, keys and certificate of a node that was exported; - reads standard input",
		Long:    "Never overwrites. The shape is that of --shape, or the exported one.",
		Example: "  tau config import compute.age --passphrase-file /safe/phrase --root /tb",
	}
	w.flags(cmd)
	passphraseFlag(cmd, &file)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		phrase, err := passphrase(file)
		if err != nil {
			return err
		}
		b, err := unseal(args[0], cmd.InOrStdin(), phrase)
		if err != nil {
			return err
		}
		if !cmd.Flags().Changed("shape") {
			if err := (&shapeFlag{&w.shape}).Set(b.Shape); err != nil {
				return fmt.Errorf("%s: the shape %q: %w", args[0], b.Shape, err)
			}
		}
		return w.restore(cmd.OutOrStdout(), b)
	}
	return cmd
}

func unseal(path string, stdin io.Reader, phrase string) (b bundle, err error) {
	var raw []byte
	if path == "-" {
		raw, err = io.ReadAll(io.LimitReader(stdin, bundleLenMax))
	} else {
		raw, err = os.ReadFile(path)
	}
	if err != nil {
		return b, err
	}
	by, err := age.NewScryptIdentity(phrase)
	if err != nil {
		return b, err
	}
	plain, err := age.Decrypt(bytes.NewReader(raw), by)
	if err != nil {
		return b, fmt.Errorf("%s: it is not opened by this passphrase, or is no export of tau: %w", path, err)
	}
	if err := json.NewDecoder(io.LimitReader(plain, bundleLenMax)).Decode(&b); err != nil {
		return b, fmt.Errorf("%s: it is damaged: %w", path, err)
	}
	if b.Format != bundleFormat {
		return b, fmt.Errorf("%s: it is of format %d, and this release knows %d", path, b.Format, bundleFormat)
	}
	return b, nil
}

// restore writes what was exported; the configuration last, so that there is no half node.
func (w *where) restore(out io.Writer, b bundle) error {
	paths := shape.PathsOf(w.root, w.shape)
	if _, err := shape.Read(paths.Config, b.Config); err != nil {
		return err
	}
	for _, path := range []string{paths.Config, paths.Certificate, paths.CloudKey} {
		if _, err := os.Stat(path); err == nil && (path != paths.CloudKey || len(b.CloudKey) > 0) {
			return fmt.Errorf("%s is there already, and is never overwritten: choose another --shape or --root, or move it away", path)
		}
	}
	for _, dir := range []string{filepath.Dir(paths.Config), paths.Keys} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return failure{err}
		}
	}
	for _, file := range []struct {
		path    string
		content []byte
	}{{paths.CloudKey, b.CloudKey}, {paths.Certificate, b.Certificate}, {paths.Config, b.Config}} {
		if len(file.content) == 0 {
			continue
		}
		if err := live.WriteFile(file.path, file.content); err != nil {
			return failure{err}
		}
		fmt.Fprintf(out, "wrote %s\n", file.path)
	}
	fmt.Fprintf(out, "next: tau start -s %s --root %s; see to it that this node runs nowhere else\n", w.shape, w.root)
	return nil
}
