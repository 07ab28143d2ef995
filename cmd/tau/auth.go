package main

import (
	"cmp"
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmdline"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/auth/token"
)

func authCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "auth", Args: cobra.NoArgs, Short: "Projects, their repositories, secrets and API tokens, on a node that runs auth",
		Long: `What auth keeps of the projects of the cloud. Secrets are read from a file or from the standard input, never from the command line, and
are sealed where they are stored: nothing shows them again.`,
		Example: `  tau auth project add shop -s compute
  tau auth repository add site --project shop --url git@github.com:acme/site.git --forge github --known-hosts known_hosts -s compute
  tau auth secret put deploy site --generate -s compute
  tau auth secret put hook site --generate -s compute`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		group("project", "Projects", authAsk("add NAME", "Make a project", "project-add"), projectsCommand(), authAsk("remove NAME", "Forget a project that has no repositories, with its secrets", "project-remove")),
		group("repository", "Repositories of projects", repositoryAddCommand(), repositoriesCommand(), authAsk("remove NAME", "Forget a repository, its webhook and its secrets", "repository-remove")),
		group("domain", "Whose hosts are, where several projects claim one", domainAddCommand(), domainProveCommand(), domainsCommand(), authAsk("remove HOST", "Forget whose a host is, and its certificate", "domain-remove")),
		group("certificate", "Certificates of hosts, for TLS", certificatePutCommand(), certificatesCommand(), authAsk("remove HOST", "Forget the certificate of a host, with its key", "certificate-remove")),
		group("secret", "Deploy keys, and secrets of webhooks, statuses and builds", secretPutCommand(), secretsCommand(), secretRevokeCommand()),
		group("token", "API tokens", tokenCreateCommand(), tokensCommand(), authAsk("revoke ID", "Take a token back, for ever", "token-revoke")),
		group("vault", "The keys that secrets are sealed with", vaultCommand("rotate", "Draw a new vault key, and seal everything anew", false), vaultCommand("forget", "Forget old vault keys that nothing needs", true)),
		auditLogCommand(),
	)
	giveExamples("tau auth", cmd)
	return cmd
}

// giveExamples shows how each command below one is typed, if that has none: with the words of its use.
func giveExamples(path string, cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		if c.Example == "" {
			c.Example = "  " + path + " " + strings.NewReplacer("[", "", "]", "").Replace(c.Use)
		}
		giveExamples(path+" "+c.Name(), c)
	}
}

func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Args: cobra.NoArgs, Short: short, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(commands...)
	return cmd
}

// authAsk is a command that changes something of one name.
func authAsk(use, short, do string) *cobra.Command {
	var w where
	cmd := &cobra.Command{Use: use, Args: cobra.ExactArgs(1), Short: short}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var resp authapi.Done
		if err := w.ask(cmd, "auth", live.AuthRequest{Do: do, Name: args[0]}, nil, &resp); err != nil {
			return err
		}
		return printDone(cmd, *inJSON, resp)
	}
	return cmd
}

func printDone(cmd *cobra.Command, inJSON bool, resp authapi.Done) error {
	if inJSON {
		return printJSON(cmd.OutOrStdout(), resp)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "done; that is durable on %s\n", counted(resp.Copies, "auth"))
	return nil
}

// listing is a command that shows a list, of what an optional argument names.
func listing[T any](use, short, do string, args cobra.PositionalArgs, head []string, line func(T) []string) *cobra.Command {
	var w where
	cmd := &cobra.Command{Use: use, Args: args, Short: short}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		list, req := []T{}, live.AuthRequest{Do: do}
		if len(args) > 0 {
			req.Name = args[0]
		}
		if err := w.ask(cmd, "auth", req, nil, &list); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), append([]T{}, list...)) // [] where auth has said null
		}
		lines := [][]string{head}
		for _, one := range list {
			lines = append(lines, line(one))
		}
		table(cmd.OutOrStdout(), lines...)
		return nil
	}
	return cmd
}

func domainAddCommand() *cobra.Command {
	var w where
	var project string
	cmd := &cobra.Command{
		Use: "add HOST", Args: cobra.ExactArgs(1), Short: "Say that a host is a project's: no other one answers there",
		Example: "  tau auth domain add shop.example.com --project shop",
	}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.Flags().StringVar(&project, "project", "", "whose it is")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var resp authapi.Done
		if err := w.ask(cmd, "auth", live.AuthRequest{Do: "domain-add", Name: args[0], Project: project}, nil, &resp); err != nil {
			return err
		}
		return printDone(cmd, *inJSON, resp)
	}
	return cmd
}

func domainsCommand() *cobra.Command {
	return listing("list [PROJECT]", "List whose hosts are, all or those of a project", "domains", cobra.MaximumNArgs(1), []string{"HOST", "PROJECT", "SINCE", "PROVEN"}, func(d authapi.Domain) []string {
		proven := ""
		if d.Proof != "" {
			proven = "by " + d.Proof + ", " + day(d.Proven)
		}
		return []string{d.Host, d.Project, day(d.Made), proven}
	})
}

func projectsCommand() *cobra.Command {
	return listing("list", "List projects", "projects", cobra.NoArgs, []string{"PROJECT", "MADE"}, func(p authapi.Project) []string { return []string{p.Name, day(p.Made)} })
}

func repositoriesCommand() *cobra.Command {
	return listing("list [PROJECT]", "List repositories, all or those of a project", "repositories", cobra.MaximumNArgs(1), []string{"REPOSITORY", "PROJECT", "HOLDS", "FORGE", "BRANCHES", "WEBHOOK", "ADDRESS"},
		func(r authapi.Repository) []string {
			return []string{r.Name, r.Project, cmp.Or(string(r.Holds), "everything"), r.Forge, strings.Join(r.Branches, " "), "/hooks/" + r.Hook, r.URL}
		})
}

func secretsCommand() *cobra.Command {
	return listing("list OWNER", "List the secrets of a repository or a project, without their values", "secrets", cobra.ExactArgs(1), []string{"KIND", "NAME", "VERSION", "MADE", "ENDS", "PUBLIC KEY"},
		func(s authapi.SecretState) []string {
			ends := ""
			if s.Until != 0 {
				ends = day(s.Until)
			}
			return []string{string(s.ID.Kind), s.ID.Name, fmt.Sprint(s.Version), day(s.Made), ends, s.Public}
		})
}

func tokensCommand() *cobra.Command {
	return listing("list", "List API tokens", "tokens", cobra.NoArgs, []string{"TOKEN", "PROJECTS", "SCOPES", "ENDS", ""}, func(t authapi.TokenState) []string {
		revoked := ""
		if t.Revoked {
			revoked = "revoked"
		}
		return []string{t.ID, strings.Join(t.Projects, " "), strings.Trim(fmt.Sprint(t.Scopes), "[]"), day(t.NotAfter), revoked}
	})
}

func auditLogCommand() *cobra.Command {
	return listing("audit [PROJECT]", "Who has done what, newest first", "audit", cobra.MaximumNArgs(1), []string{"WHEN", "WHAT", "PROJECT", "OF", "BY"}, func(a authapi.AuditEntry) []string {
		return []string{time.Unix(0, a.At).UTC().Format(time.DateTime), a.What, a.Project, a.Object, a.By.String()}
	})
}

func day(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.DateTime) }

func repositoryAddCommand() *cobra.Command {
	var w where
	r := authapi.Repository{}
	var hosts string
	cmd := &cobra.Command{Use: "add NAME", Args: cobra.ExactArgs(1), Short: "Add a repository to a project, or change it",
		Example: `  tau auth repository add shop --project shop --url https://git.example.com/acme/shop.git
  tau auth repository add shop-config --project shop --holds configuration --url git@github.com:acme/shop-config.git --forge github --known-hosts known_hosts
  tau auth repository add shop-code --project shop --holds code --url git@github.com:acme/shop-code.git --forge github --known-hosts known_hosts`}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	f := cmd.Flags()
	f.StringVar(&r.Project, "project", "", "the project that it is of")
	f.StringVar(&r.URL, "url", "", "where it is fetched: https://, ssh://, file:// or user@host:path")
	f.StringVar(&r.Forge, "forge", "generic", "whose webhooks it sends: github, gitlab, gitea, bitbucket or generic")
	f.StringVar(&r.ForgeName, "forge-name", "", "its OWNER/NAME or id at the forge; default: the path of its address")
	f.StringSliceVar(&r.Branches, "branch", []string{"main"}, "patterns of the branches that are built")
	f.StringVar(&hosts, "known-hosts", "", "a file with the host keys that count, for ssh")
	f.StringVar((*string)(&r.Holds), "holds", "", "what of the project is in it, if that is in several: configuration, code (of functions) or resource (a website or a library); default: everything")
	f.BoolVar(&r.NewestWins, "newest-wins", false, "a push makes older jobs of its branch superfluous")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		r.Name = args[0]
		if hosts != "" {
			if r.KnownHosts, err = os.ReadFile(hosts); err != nil {
				return fmt.Errorf("--known-hosts: %w: ssh-keyscan HOST >%s makes it; compare its keys with those that the forge publishes", err, hosts)
			}
		}
		if err := authapi.CheckRepository(r); err != nil {
			return err
		}
		var resp authapi.RepositoryResponse
		if err := w.ask(cmd, "auth", live.AuthRequest{Do: "repository-add", Repository: &r}, nil, &resp); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), resp)
		}
		table(cmd.OutOrStdout(), []string{"repository", resp.Repository.Name}, []string{"webhook", "/hooks/" + resp.Repository.Hook}, []string{"at the forge", resp.Repository.At()})
		return nil
	}
	return cmd
}

// secretArgs are KIND OWNER [NAME].
func secretArgs(args []string) (id authapi.SecretID, err error) {
	id.Kind, id.Owner = authapi.Kind(args[0]), args[1]
	if len(args) > 2 {
		id.Name = args[2]
	}
	return id, id.Check()
}

func secretPutCommand() *cobra.Command {
	var w where
	var file string
	var generate bool
	var overlap time.Duration
	cmd := &cobra.Command{
		Use: "put KIND OWNER [NAME]", Args: cobra.RangeArgs(2, 3), Short: "Store a secret, or replace it: deploy, hook or status of a repository, build NAME or function NAME of a project",
		Long: `Reads the secret from the standard input, or from a file; a newline at its end is none of it. With --generate a deploy key is made, of which the
public half is printed, or the secret of a webhook, which is printed once: keep it for the forge.`,
	}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.Flags().StringVar(&file, "file", "", "the file with the secret; default: the standard input")
	cmd.Flags().BoolVar(&generate, "generate", false, "draw it: a deploy key, or the secret of a webhook")
	cmd.Flags().DurationVar(&overlap, "overlap", 0, "for how long the one before counts beside it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := secretArgs(args)
		if err != nil {
			return err
		}
		value, shown, err := secretValue(cmd, id.Kind, file, generate)
		if err != nil {
			return err
		}
		var resp authapi.SecretPutResponse
		req := live.AuthRequest{Do: "secret-put", Secret: &authapi.SecretPutRequest{ID: id, Value: value, Overlap: int64(overlap / time.Second)}}
		if err := w.ask(cmd, "auth", req, nil, &resp); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), struct {
				authapi.SecretPutResponse
				Generated string `json:",omitempty"`
			}{resp, shown})
		}
		for _, line := range []string{resp.State.Public, shown} {
			if line != "" {
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "version %d; that is durable on %s\n", resp.State.Version, counted(resp.Copies, "auth"))
		return nil
	}
	return cmd
}

// secretValue reads or draws a secret. shown is what people have to see of one that was drawn.
func secretValue(cmd *cobra.Command, kind authapi.Kind, file string, generate bool) (value []byte, shown string, err error) {
	if generate {
		raw := make([]byte, 32)
		_, _ = crand.Read(raw)
		switch kind {
		case authapi.DeployKey:
			return raw, "", nil
		case authapi.HookSecret:
			text := hex.EncodeToString(raw)
			return []byte(text), text, nil
		}
		return nil, "", errors.New("--generate: expected for deploy and hook only: the others are given by somebody else")
	}
	if kind == authapi.DeployKey {
		return nil, "", errors.New("a deploy key is made here (--generate), and its public half given to the forge")
	}
	value, err = cmdline.ReadSecret(cmd.InOrStdin(), file, authapi.SecretLenMax)
	return value, "", err
}

func secretRevokeCommand() *cobra.Command {
	var w where
	var version uint64
	cmd := &cobra.Command{Use: "revoke KIND OWNER [NAME]", Args: cobra.RangeArgs(2, 3), Short: "End a secret at once, all versions or one"}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.Flags().Uint64Var(&version, "version", 0, "the version; default: all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := secretArgs(args)
		if err != nil {
			return err
		}
		var resp authapi.Done
		if err := w.ask(cmd, "auth", live.AuthRequest{Do: "secret-revoke", Revoke: &authapi.SecretRevokeRequest{ID: id, Version: version}}, nil, &resp); err != nil {
			return err
		}
		return printDone(cmd, *inJSON, resp)
	}
	return cmd
}

// roles are what tokens are made for.
var roles = map[string][]token.Scope{"viewer": {token.Read}, "developer": {token.Read, token.Write}}

func tokenCreateCommand() *cobra.Command {
	var w where
	var of []string
	var role string
	var life time.Duration
	cmd := &cobra.Command{Use: "create", Args: cobra.NoArgs, Short: "Make an API token, which is printed once"}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.Flags().StringSliceVar(&of, "project", nil, "the projects that it is for")
	cmd.Flags().StringVar(&role, "role", "viewer", "viewer: jobs and logs are read; developer: they are cancelled and rebuilt, too")
	cmd.Flags().DurationVar(&life, "for", 30*24*time.Hour, "how long it counts")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if roles[role] == nil {
			return fmt.Errorf("--role: %q is none: expected viewer or developer", role)
		}
		raw := make([]byte, token.SecretLen)
		_, _ = crand.Read(raw)
		text, record, err := token.New(raw, of, roles[role], time.Now(), life)
		if err != nil {
			return err
		}
		var resp authapi.Done
		if err := w.ask(cmd, "auth", live.AuthRequest{Do: "token-create", Token: &record}, nil, &resp); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), map[string]any{"token": text, "id": record.ID, "copies": resp.Copies})
		}
		fmt.Fprintln(cmd.OutOrStdout(), text)
		return nil
	}
	return cmd
}

func vaultCommand(use, short string, forget bool) *cobra.Command {
	var w where
	cmd := &cobra.Command{Use: use, Args: cobra.NoArgs, Short: short}
	w.asking(cmd, waitFor)
	inJSON := asJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var resp authapi.VaultResponse
		if err := w.ask(cmd, "auth", live.AuthRequest{Do: "vault", Forget: forget}, nil, &resp); err != nil {
			return err
		}
		if *inJSON {
			return printJSON(cmd.OutOrStdout(), resp)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "vault keys, the one that seals first: %s\n", strings.Join(resp.Keys, " "))
		return nil
	}
	return cmd
}
