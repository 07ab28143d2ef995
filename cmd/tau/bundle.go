package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmd/tau/shape"
)

// pageLenMax bounds a page of a debug bundle, in bytes.
const pageLenMax = 32 << 20

func debugCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "debug", Args: cobra.NoArgs, Short: "What helps to find out what is wrong with a node",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(bundleCommand())
	return cmd
}

func bundleCommand() *cobra.Command {
	var w where
	cmd := &cobra.Command{
		Use: "bundle [FILE]", Args: cobra.MaximumNArgs(1), Short: "Write all that helps to find out what is wrong with a node into one .tar.gz, without secrets",
		Long: `Status, members, jobs, the last warnings and facts, metrics, goroutines, the memory's profile, the doctor's findings and the configuration
without secrets. Names of projects, members and their addresses are in it. Without FILE, it is tau-debug-SHAPE-TIME.tar.gz in the working directory.`,
		Example: "  tau debug bundle -s compute /tmp/compute.tar.gz",
	}
	w.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !w.exists() {
			return failure{w.notRunning(nil)}
		}
		name := fmt.Sprintf("tau-debug-%s-%s.tar.gz", w.shape, time.Now().UTC().Format("20060102-150405"))
		if len(args) > 0 {
			name = args[0]
		}
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := w.writeBundle(cmd, f); err != nil {
			return failure{err}
		}
		fmt.Fprintf(cmd.OutOrStdout(), "wrote %s\n", name)
		return f.Close()
	}
	return cmd
}

// writeBundle writes a file for each thing that there is, and what is wrong with those that are not.
func (w *where) writeBundle(cmd *cobra.Command, out io.Writer) error {
	zip := gzip.NewWriter(out)
	archive := tar.NewWriter(zip)
	put := func(name string, content []byte, err error) error {
		if err != nil {
			name, content = name+".error", []byte(err.Error()+"\n")
		}
		if err := archive.WriteHeader(&tar.Header{Name: "tau/" + name, Mode: 0o600, Size: int64(len(content)), ModTime: time.Now()}); err != nil {
			return err
		}
		_, err = archive.Write(content)
		return err
	}
	if err := put("version.txt", []byte(version()+"\n"), nil); err != nil {
		return err
	}
	var config []byte
	s, err := w.load()
	if err == nil {
		config = s.Masked().YAML()
	}
	if err := put("config.yaml", config, err); err != nil {
		return err
	}
	d := doctor{where: *w, cmd: cmd, paths: shape.PathsOf(w.root, w.shape), running: w.runs()}
	if s != nil {
		d.machine()
		d.ports(s)
		d.disk(s)
		d.expected()
		d.certificate(s)
		d.members(s)
	}
	findings, err := json.MarshalIndent(d.findings, "", "  ")
	if err := put("doctor.json", findings, err); err != nil {
		return err
	}
	if !d.running {
		fmt.Fprintf(cmd.ErrOrStderr(), "tau: no node of shape %s runs below %s: what only a node that runs can tell is left out\n", w.shape, w.root)
	}
	client := live.NewClient(d.paths.Socket)
	page := func(path string) ([]byte, error) {
		if d.hung {
			return nil, errHangs
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), within.ask)
		defer cancel()
		return client.Page(ctx, path, pageLenMax)
	}
	for name, path := range map[string]string{
		"status.json": "/v1/status", "peers.json": "/v1/peers", "jobs.json": "/v1/jobs", "facts.json": "/v1/facts", "metrics.txt": "/metrics",
		"readyz.txt": "/readyz", "goroutines.txt": "/debug/pprof/goroutine?debug=2", "heap.pprof": "/debug/pprof/heap",
	} {
		content, err := page(path)
		if err := put(name, content, err); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return zip.Close()
}
