// Package auth says who belongs to the cloud: it certifies nodes that come by an invitation,
// renews what they have, takes it back, and carries on when the cloud key is replaced. The
// agent (AgentSpec) that runs on every node keeps what that node shows and knows of it.
//
// It is not responsible for what a member may do: that is in each method's rule. It does not
// hold the cloud key, which people keep: it signs as an issuer, by a certificate of its own.
package auth

import (
	"context"
	"errors"

	"github.com/taucloud/tau/node"
	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/services/patrick/patrickapi"
	"github.com/taucloud/tau/storage"
	"github.com/taucloud/tau/transport"
	"github.com/taucloud/tau/transport/membership"
)

// Ends are how an auth reaches out of the cloud; they differ between the worlds. The zero value has none.
type Ends struct {
	// Vault keeps the vault keys. nil: this auth keeps no secrets.
	Vault func(node.Env) Vault
	// Look looks at hosts. nil: this auth proves no domains.
	Look func(node.Env) Look
}

// Spec is auth's entry in the catalogue.
func Spec(ends Ends) node.Spec {
	return node.Spec{
		Name:     authapi.Service,
		Doc:      "says who belongs to the cloud",
		Settings: func() any { return DefaultSettings() },
		New: func(env node.Env, settings any) (node.Service, error) {
			s := &Service{env: env, settings: *settings.(*Settings)}
			if ends.Vault != nil {
				s.keyring.vault = ends.Vault(env)
			}
			if ends.Look != nil {
				s.look = ends.Look(env)
			}
			return s, nil
		},
	}
}

// namespace is auth's namespace in the replicated store.
const namespace = "main"

// Service is one auth.
type Service struct {
	env      node.Env
	settings Settings
	store    storage.Replicated // nil until Start
	invited  invitations
	issued   map[transport.Peer]int64 // when the last certificate begins that this auth has signed
	serial   uint64                   // counts those of this incarnation
	patrick  *patrickapi.Client
	keyring  keyring
	look     Look   // nil: this auth looks at no hosts
	audited  uint64 // counts the entries of the audit of this incarnation
}

// Start implements node.Service.
func (s *Service) Start(ctx context.Context) error {
	if s.env.Authority == nil {
		return transport.New(transport.Invalid, authapi.Service, "this node's members prove nothing: it was set up without a cloud")
	}
	if err := s.load(); err != nil {
		return err
	}
	store, err := s.env.OpenReplicated(ctx, namespace, s.settings.History)
	if err != nil {
		return err
	}
	s.store = store
	store.Watch(storage.K(), func(k storage.Key) { s.learn(k) })
	for _, e := range store.Entries(storage.K()) {
		s.learn(e.Key)
	}
	s.patrick = patrickapi.NewClient(s.env.Wire)
	if err := s.openVault(); err != nil {
		return err
	}
	authapi.Renew.Serve(s.env.Wire, s.renew)
	authapi.Admit.Serve(s.env.Wire, s.admit)
	authapi.Revocations.Serve(s.env.Wire, s.revocations)
	authapi.Invite.Serve(s.env.Wire, s.invite)
	authapi.Invitations.Serve(s.env.Wire, s.invitations)
	authapi.Withdraw.Serve(s.env.Wire, s.withdraw)
	authapi.Honour.Serve(s.env.Wire, s.honour)
	authapi.Tally.Serve(s.env.Wire, s.tally)
	authapi.Revoke.Serve(s.env.Wire, s.revoke)
	authapi.Rotate.Serve(s.env.Wire, s.rotate)
	authapi.TokenCreate.Serve(s.env.Wire, s.createToken)
	authapi.TokenList.Serve(s.env.Wire, s.listTokens)
	authapi.TokenRevoke.Serve(s.env.Wire, s.revokeToken)
	authapi.TokenCheck.Serve(s.env.Wire, s.checkToken)
	s.serveProjects()
	return nil
}

func (s *Service) serveProjects() {
	authapi.ProjectPut.Serve(s.env.Wire, s.putProject)
	authapi.ProjectList.Serve(s.env.Wire, s.listProjects)
	authapi.ProjectDelete.Serve(s.env.Wire, s.deleteProject)
	authapi.RepositoryPut.Serve(s.env.Wire, s.putRepository)
	authapi.RepositoryList.Serve(s.env.Wire, s.listRepositories)
	authapi.RepositoryDelete.Serve(s.env.Wire, s.deleteRepository)
	authapi.DomainPut.Serve(s.env.Wire, s.putDomain)
	authapi.DomainList.Serve(s.env.Wire, s.listDomains)
	authapi.DomainProve.Serve(s.env.Wire, s.proveDomain)
	authapi.DomainDelete.Serve(s.env.Wire, s.deleteDomain)
	authapi.CertificatePut.Serve(s.env.Wire, s.putCertificate)
	authapi.CertificateList.Serve(s.env.Wire, s.listCertificates)
	authapi.CertificateDelete.Serve(s.env.Wire, s.deleteCertificate)
	authapi.CertificateOf.Serve(s.env.Wire, s.certificateFor)
	authapi.SecretPut.Serve(s.env.Wire, s.putSecret)
	authapi.SecretList.Serve(s.env.Wire, s.listSecrets)
	authapi.SecretRevoke.Serve(s.env.Wire, s.revokeSecret)
	authapi.Audit.Serve(s.env.Wire, s.listAudit)
	authapi.Vault.Serve(s.env.Wire, s.changeVault)
	authapi.Hook.Serve(s.env.Wire, s.hook)
	authapi.Forge.Serve(s.env.Wire, s.forge)
	authapi.FunctionSecrets.Serve(s.env.Wire, s.functionSecrets)
	authapi.Source.Serve(s.env.Wire, s.source)
	vaultKeys.Serve(s.env.Wire, s.giveKeys)
}

// Stop implements node.Service.
func (s *Service) Stop(ctx context.Context) error {
	if s.store == nil {
		return nil
	}
	return errors.Join(s.env.Local.Sync(ctx), s.store.Sync(ctx), s.store.Close())
}

// replicate makes what was written durable, here and on a second auth if one can be reached.
func (s *Service) replicate(ctx context.Context) (copies int, err error) {
	return s.env.Replicate(ctx, s.store, 2, s.settings.ReplicateTimeout)
}

// learn takes over what an auth has written: on any of them, this one included.
func (s *Service) learn(k storage.Key) {
	raw, err := s.store.Get(k)
	if err != nil {
		return
	}
	switch parts := k.Parts(); {
	case len(parts) == 3 && parts[0] == revokedPart:
		var r membership.Revoking
		if transport.Decode(raw, &r) == nil {
			s.learnRevocation(r)
		}
	case len(parts) == 2 && parts[0] == rotationPart:
		s.learnRotations()
	case k == issuerKey(s.env.Self):
		var c membership.Signed
		if transport.Decode(raw, &c) == nil {
			s.becomeIssuer(c)
		}
	}
}
