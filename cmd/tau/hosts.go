package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/auth/hostcert"
)

func domainProveCommand() *cobra.Command {
	var w where
	var req authapi.DomainProveRequest
	cmd := &cobra.Command{
		Use: "prove HOST", Args: cobra.ExactArgs(1), Short: "Look whether a host shows that it is a project's, by DNS or a page, and keep that it is",
		Long: `Whoever has the host puts the text that this prints into its DNS, or on the page that is named; then an auth sees it there. Exit status 1: it is
not there yet. A host that another project has is taken from it by nobody.`,
		Example: "  tau auth domain prove shop.example.com --project shop --show   # what has to be there\n  tau auth domain prove shop.example.com --project shop",
	}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.Flags().StringVar(&req.Project, "project", "", "whose it is")
	cmd.Flags().BoolVar(&req.Show, "show", false, "only say what has to be there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req.Host = args[0]
		var resp authapi.DomainProveResponse
		if err := w.ask(cmd, "auth", live.AuthRequest{Do: "domain-prove", Prove: &req}, nil, &resp); err != nil {
			return err
		}
		switch {
		case *inJSON:
			if err := printJSON(cmd.OutOrStdout(), resp); err != nil {
				return err
			}
		case resp.Proof != "":
			fmt.Fprintf(cmd.OutOrStdout(), "proven by %s; that is durable on %s\n", resp.Proof, counted(resp.Copies, "auth"))
		default:
			table(cmd.OutOrStdout(), []string{"in DNS", resp.Record + " TXT " + resp.Value}, []string{"or at", resp.Page}, []string{"the text", resp.Value})
		}
		if resp.Proof == "" && !req.Show {
			return failure{fmt.Errorf("not proven yet: %s", resp.Why)}
		}
		return nil
	}
	return cmd
}

func certificatePutCommand() *cobra.Command {
	var w where
	var chain, key string
	cmd := &cobra.Command{
		Use: "put HOST", Args: cobra.ExactArgs(1), Short: "Store the certificate of a host, with its private key, or replace it",
		Long: `Both are PEM: the host's certificate first, then who has signed it. The key is sealed where it is stored, and nothing shows it again; gateways get
it, while the host is the project's that it was stored for (tau auth domain).`,
		Example: "  tau auth certificate put shop.example.com --chain fullchain.pem --key privkey.pem",
	}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.Flags().StringVar(&chain, "chain", "", "a file with the certificate and those that have signed it")
	cmd.Flags().StringVar(&key, "key", "", "a file with the private key, not encrypted")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if chain == "" || key == "" {
			return errors.New("--chain, --key: expected the files of the certificate and of its private key")
		}
		req := authapi.CertificatePutRequest{Host: args[0]}
		if req.Chain, err = readAtMost("--chain", chain, hostcert.ChainLenMax); err != nil {
			return err
		}
		if req.Key, err = readAtMost("--key", key, hostcert.KeyLenMax); err != nil {
			return err
		}
		var resp authapi.CertificatePutResponse
		if err := w.ask(cmd, "auth", live.AuthRequest{Do: "certificate-put", Certificate: &req}, nil, &resp); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), resp)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "version %d, until %s; that is durable on %s\n", resp.Certificate.Version, day(resp.Certificate.NotAfter), counted(resp.Copies, "auth"))
		return nil
	}
	return cmd
}

// readAtMost reads a file that a flag names, of at most so many bytes.
func readAtMost(flag, path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s: %s has more than %d KiB", flag, path, most>>10)
	}
	return os.ReadFile(path)
}

func certificatesCommand() *cobra.Command {
	return listing("list [PROJECT]", "List certificates of hosts, all or those of a project", "certificates", cobra.MaximumNArgs(1), []string{"HOST", "PROJECT", "VERSION", "ENDS", "ISSUER", "FINGERPRINT"},
		func(c authapi.HostCertificate) []string {
			return []string{c.Host, c.Project, fmt.Sprint(c.Version), day(c.NotAfter), c.Issuer, c.Fingerprint}
		})
}
