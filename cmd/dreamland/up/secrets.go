package up

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	taulive "github.com/taucloud/tau/cmd/tau/live"
	"github.com/taucloud/tau/cmdline"
	"github.com/taucloud/tau/dreamland"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// Secret is one of a project, without its value.
type Secret struct {
	// For: function or build.
	For  string    `json:"for"`
	Name string    `json:"name"`
	Made time.Time `json:"made"`
}

type secretIn struct {
	Project string `json:"project" in:"path"`
	// For is function, if it is left out, or build.
	For  string `json:"for,omitempty"`
	Name string `json:"name"`
}

type secretPutIn struct {
	Project string `json:"project" in:"path"`
	For     string `json:"for,omitempty"`
	Name    string `json:"name"`
	// Base64 is the value, of at most 8 KiB.
	Base64 string `json:"base64"`
}

// SecretChanged is what has become of a secret.
type SecretChanged struct {
	Project string `json:"project"`
	For     string `json:"for"`
	Name    string `json:"name"`
}

// hasSecrets sees to it that auth knows of a project, which must have been pushed.
func (u *Universe) hasSecrets(ctx context.Context, project string) error {
	if err := patrickapi.CheckProject(project); err != nil {
		return badRequest(err)
	}
	if names := u.forge.Projects(); !slices.Contains(names, project) {
		return noSuch{fmt.Errorf("there is no project %.64q in universe %s, where one is from its first push on: %s", project, u.place.name(), suggest(project, names))}
	}
	_, err := u.deliver.hooks.of(ctx, project)
	return err
}

// secretOf is the id of a secret of a project.
func (u *Universe) secretOf(ctx context.Context, in secretIn) (id authapi.SecretID, err error) {
	id = authapi.SecretID{Kind: authapi.FunctionSecret, Owner: in.Project, Name: in.Name}
	switch in.For {
	case "", string(authapi.FunctionSecret):
	case string(authapi.BuildSecret):
		id.Kind = authapi.BuildSecret
	default:
		return id, badRequest(fmt.Errorf("for: %.20q is none of function, build", in.For))
	}
	if err := u.hasSecrets(ctx, in.Project); err != nil {
		return id, err
	}
	if err := id.Check(); err != nil {
		return id, badRequest(err)
	}
	return id, nil
}

func secrets(ctx context.Context, u *Universe, in projectIn) ([]Secret, error) {
	if err := u.hasSecrets(ctx, in.Project); err != nil {
		return nil, err
	}
	var all []authapi.SecretState
	if err := u.deliver.hooks.auth(ctx, taulive.AuthRequest{Do: "secrets", Name: in.Project}, &all); err != nil {
		return nil, err
	}
	list := []Secret{}
	for _, s := range all {
		if s.ID.Kind.OfProject() && s.Until == 0 {
			list = append(list, Secret{string(s.ID.Kind), s.ID.Name, time.Unix(s.Made, 0).UTC()})
		}
	}
	return list, nil
}

func putSecret(ctx context.Context, u *Universe, in secretPutIn) (SecretChanged, error) {
	id, err := u.secretOf(ctx, secretIn{in.Project, in.For, in.Name})
	if err != nil {
		return SecretChanged{}, err
	}
	value, err := base64.StdEncoding.DecodeString(in.Base64)
	switch {
	case err != nil:
		return SecretChanged{}, badRequest(errors.New("base64: expected the value in base64"))
	case len(value) == 0 || len(value) > authapi.SecretLenMax:
		return SecretChanged{}, badRequest(fmt.Errorf("a secret has 1 to %d bytes, and this one %d", authapi.SecretLenMax, len(value)))
	}
	put := authapi.SecretPutRequest{ID: id, Value: value}
	err = u.deliver.hooks.auth(ctx, taulive.AuthRequest{Do: "secret-put", Secret: &put}, new(authapi.SecretPutResponse))
	return SecretChanged{id.Owner, string(id.Kind), id.Name}, err
}

func removeSecret(ctx context.Context, u *Universe, in secretIn) (SecretChanged, error) {
	id, err := u.secretOf(ctx, in)
	if err != nil {
		return SecretChanged{}, err
	}
	err = u.deliver.hooks.auth(ctx, taulive.AuthRequest{Do: "secret-revoke", Revoke: &authapi.SecretRevokeRequest{ID: id}}, new(authapi.Done))
	return SecretChanged{id.Owner, string(id.Kind), id.Name}, err
}

func secretCommand(tools dreamland.Tools) *cobra.Command {
	cmd := &cobra.Command{Use: "secret", Args: cobra.NoArgs, Short: "Secrets of a project's functions and builds: put, list, remove",
		Long: `A function gets the secrets that its project names (secrets: [API_KEY] of the function in tau.yaml) as variables of its environment; a build gets all
those that are for builds. Values are in no repository, and no command shows them again.`}
	cmd.AddCommand(secretPutCommand(tools), secretListCommand(tools), secretRemoveCommand(tools))
	return cmd
}

func secretPutCommand(tools dreamland.Tools) *cobra.Command {
	file, build := "", false
	cmd := says("put PROJECT NAME", "Store a secret, or replace it: the standard input, without the newline at its end",
		"  printf %s \"$API_KEY\" | dreamland secret put shop API_KEY\n  dreamland secret put shop TLS_KEY --file key.pem", tools,
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&file, "file", "", "the file with the secret; default: the standard input")
			secretForBuilds(cmd, &build)
		},
		func(ctx context.Context, c *client, args []string, into *SecretChanged) error {
			value, err := cmdline.ReadSecret(os.Stdin, file, authapi.SecretLenMax)
			if err != nil {
				return badRequest(err)
			}
			in := map[string]string{"for": secretFor(build), "name": args[1], "base64": base64.StdEncoding.EncodeToString(value)}
			return c.ask(ctx, "projects/"+url.PathEscape(args[0])+"/secrets", nil, in, into)
		},
		func(out io.Writer, s SecretChanged) error {
			_, err := fmt.Fprintf(out, "%s of %s is stored, for each %s; it counts within 30 s\n", s.Name, s.Project, s.whom())
			return err
		})
	return cmd
}

// whom is who gets a secret.
func (s SecretChanged) whom() string {
	if s.For == string(authapi.BuildSecret) {
		return "build"
	}
	return "function that names it below secrets"
}

// secretForBuilds is the flag by which a secret is one of builds.
func secretForBuilds(cmd *cobra.Command, build *bool) {
	cmd.Flags().BoolVar(build, "build", false, "one for builds, not for functions")
}

func secretFor(build bool) string {
	if build {
		return string(authapi.BuildSecret)
	}
	return string(authapi.FunctionSecret)
}

func secretListCommand(tools dreamland.Tools) *cobra.Command {
	return says("list PROJECT", "The secrets of a project, without their values", "  dreamland secret list shop", tools, nil,
		func(ctx context.Context, c *client, args []string, into *[]Secret) error {
			return c.ask(ctx, "projects/"+url.PathEscape(args[0])+"/secrets", nil, nil, into)
		},
		func(out io.Writer, list []Secret) error {
			t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
			fmt.Fprintln(t, "NAME\tFOR\tSTORED")
			for _, s := range list {
				fmt.Fprintf(t, "%s\t%s\t%s\n", plainText(s.Name), s.For, s.Made.Local().Format(time.DateTime))
			}
			return t.Flush()
		})
}

func secretRemoveCommand(tools dreamland.Tools) *cobra.Command {
	build := false
	return says("remove PROJECT NAME", "End a secret at once", "  dreamland secret remove shop API_KEY", tools,
		func(cmd *cobra.Command) { secretForBuilds(cmd, &build) },
		func(ctx context.Context, c *client, args []string, into *SecretChanged) error {
			return c.ask(ctx, "projects/"+url.PathEscape(args[0])+"/secrets/remove", nil, map[string]string{"for": secretFor(build), "name": args[1]}, into)
		},
		func(out io.Writer, s SecretChanged) error {
			_, err := fmt.Fprintf(out, "%s of %s is removed\n", s.Name, s.Project)
			return err
		})
}
