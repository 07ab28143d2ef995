package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/shape"
	"github.com/taucloud/tau/sim/scenario"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Aliases: []string{"conf", "cnf"}, Short: "Make, check and show the configuration of a node", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(generateCommand(), validateCommand(), showCommand(), schemaCommand())
	return cmd
}

// fileOf is the file that a command is about: one that was named, or that of a shape.
func (w *where) fileOf(path string) string {
	if path != "" {
		return path
	}
	return shape.PathsOf(w.root, w.shape).Config
}

func validateCommand() *cobra.Command {
	var w where
	var path string
	cmd := &cobra.Command{
		Use: "validate", Aliases: []string{"check", "ok", "valid"}, Args: cobra.NoArgs,
		Short: "Say all that is wrong with a configuration, with file, line and column; try its addresses",
		RunE: func(cmd *cobra.Command, _ []string) error {
			file := w.fileOf(path)
			s, err := shape.Load(file)
			if err != nil {
				return err
			}
			if err := tryAddresses(file, s); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is valid\n", file)
			return nil
		},
	}
	w.flags(cmd)
	cmd.Flags().StringVarP(&path, "path", "p", "", "the file, in place of a shape")
	return cmd
}

// tryAddresses listens where the node will.
func tryAddresses(file string, s *shape.Shape) error {
	var wrong scenario.Errors
	for _, text := range s.Listen {
		if err := tryAddress(text); err != nil {
			wrong = append(wrong, &scenario.Error{
				File: file, Line: 1, Col: 1, What: fmt.Sprintf("p2p-listen: %s cannot be listened on: %v", text, err),
				Hint: "stop what has the port (a node that runs with this configuration has it, too), or take another",
			})
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

func tryAddress(text string) error {
	a, err := multiaddr.NewMultiaddr(text)
	if err != nil {
		return err
	}
	network, address, err := manet.DialArgs(a)
	if err != nil {
		return nil // nothing that a socket is: libp2p says what is wrong with it
	}
	switch network {
	case "tcp", "tcp4", "tcp6":
		l, err := net.Listen(network, address)
		if err != nil {
			return err
		}
		return l.Close()
	case "udp", "udp4", "udp6":
		l, err := net.ListenPacket(network, address)
		if err != nil {
			return err
		}
		return l.Close()
	}
	return nil
}

func showCommand() *cobra.Command {
	var w where
	var path string
	cmd := &cobra.Command{
		Use: "show", Aliases: []string{"render", "display", "print"}, Args: cobra.NoArgs,
		Short: "Show the configuration that counts, without secrets",
	}
	w.flags(cmd)
	inJSON := asJSON(cmd)
	cmd.Flags().StringVarP(&path, "path", "p", "", "the file, in place of a shape")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := shape.Load(w.fileOf(path))
		if err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), s.Masked())
		}
		_, err = cmd.OutOrStdout().Write(s.Masked().YAML())
		return err
	}
	return cmd
}

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Args: cobra.NoArgs, Short: "Print the JSON Schema of configurations, for editors",
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := json.MarshalIndent(shape.Schema(), "", "  ")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), string(text))
			return err
		},
	}
}

// writeNew writes a file that must not be there yet, for this user alone, and makes it durable.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) {
		return fmt.Errorf("%s is there already, and is never overwritten: choose another --shape or --root, or move it away", path)
	}
	if err != nil {
		return failure{err}
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return failure{err}
	}
	return nil
}
