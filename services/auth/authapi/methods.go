// Package authapi is how others speak with auth: who belongs to the cloud, and for how long.
//
// What is API: the methods, their messages and Client. Statements inside of messages are
// those of package membership, which says what they prove.
package authapi

import "github.com/taucloud/tau/transport"

// Service is auth's name in the directory.
const Service = "auth"

// The methods that auth serves. Whoever may offer auth may decide who belongs to the
// cloud: that is what its certificate says of the people who run it, too.
var (
	// Renew and Admit are for anyone: who asks has no certificate that counts, or soon none.
	Renew = transport.Method[RenewRequest, CertificateResponse]{Name: "auth/renew", Rule: transport.Anyone}
	Admit = transport.Method[AdmitRequest, CertificateResponse]{Name: "auth/admit", Rule: transport.Anyone}

	Revocations = transport.Method[RevocationsRequest, RevocationsResponse]{Name: "auth/revocations", Rule: transport.Member}

	Invite      = transport.Method[InviteRequest, InviteResponse]{Name: "auth/invite", Rule: transport.Offers(Service)}
	Invitations = transport.Method[InvitationsRequest, InvitationsResponse]{Name: "auth/invitations", Rule: transport.Offers(Service)}
	Withdraw    = transport.Method[WithdrawRequest, WithdrawResponse]{Name: "auth/withdraw", Rule: transport.Offers(Service)}
	// Honour and Tally are between those who honour one invitation.
	Honour = transport.Method[HonourRequest, HonourResponse]{Name: "auth/honour", Rule: transport.Offers(Service)}
	Tally  = transport.Method[TallyRequest, TallyResponse]{Name: "auth/tally", Rule: transport.Offers(Service)}

	Revoke = transport.Method[RevokeRequest, RevokeResponse]{Name: "auth/revoke", Rule: transport.Offers(Service)}
	Rotate = transport.Method[RotateRequest, RotateResponse]{Name: "auth/rotate", Rule: transport.Offers(Service)}

	// API tokens: auths store what proves them, and never have one but while patrick asks.
	TokenCreate = transport.Method[TokenCreateRequest, TokenCreateResponse]{Name: "auth/token-create", Rule: transport.Offers(Service)}
	TokenList   = transport.Method[TokenListRequest, TokenListResponse]{Name: "auth/token-list", Rule: transport.Offers(Service)}
	TokenRevoke = transport.Method[TokenRevokeRequest, TokenRevokeResponse]{Name: "auth/token-revoke", Rule: transport.Offers(Service)}
	TokenCheck  = transport.Method[TokenCheckRequest, TokenCheckResponse]{Name: "auth/token-check", Rule: transport.Offers("patrick")}

	// Projects, repositories and secrets: who runs the cloud writes, and reads all but the secrets themselves.
	ProjectPut       = transport.Method[Named, Done]{Name: "auth/project-put", Rule: transport.Offers(Service)}
	ProjectList      = transport.Method[PageRequest, ProjectsResponse]{Name: "auth/project-list", Rule: transport.Offers(Service, "substrate")}
	ProjectDelete    = transport.Method[Named, Done]{Name: "auth/project-delete", Rule: transport.Offers(Service)}
	RepositoryPut    = transport.Method[Repository, RepositoryResponse]{Name: "auth/repository-put", Rule: transport.Offers(Service)}
	RepositoryList   = transport.Method[PageRequest, RepositoriesResponse]{Name: "auth/repository-list", Rule: transport.Offers(Service, "patrick")}
	RepositoryDelete = transport.Method[Named, Done]{Name: "auth/repository-delete", Rule: transport.Offers(Service)}
	DomainPut        = transport.Method[Domain, Done]{Name: "auth/domain-put", Rule: transport.Offers(Service)}
	DomainList       = transport.Method[PageRequest, DomainsResponse]{Name: "auth/domain-list", Rule: transport.Offers(Service, "substrate")}
	DomainProve      = transport.Method[DomainProveRequest, DomainProveResponse]{Name: "auth/domain-prove", Rule: transport.Offers(Service)}
	DomainDelete     = transport.Method[Named, Done]{Name: "auth/domain-delete", Rule: transport.Offers(Service)}
	SecretPut        = transport.Method[SecretPutRequest, SecretPutResponse]{Name: "auth/secret-put", Rule: transport.Offers(Service)}
	SecretList       = transport.Method[SecretsRequest, SecretsResponse]{Name: "auth/secret-list", Rule: transport.Offers(Service)}
	SecretRevoke     = transport.Method[SecretRevokeRequest, Done]{Name: "auth/secret-revoke", Rule: transport.Offers(Service)}
	// Certificates of hosts: their keys are for gateways only, see CertificateOf.
	CertificatePut    = transport.Method[CertificatePutRequest, CertificatePutResponse]{Name: "auth/certificate-put", Rule: transport.Offers(Service)}
	CertificateList   = transport.Method[PageRequest, CertificatesResponse]{Name: "auth/certificate-list", Rule: transport.Offers(Service)}
	CertificateDelete = transport.Method[Named, Done]{Name: "auth/certificate-delete", Rule: transport.Offers(Service)}

	Audit = transport.Method[AuditRequest, AuditResponse]{Name: "auth/audit", Rule: transport.Offers(Service)}
	Vault = transport.Method[VaultRequest, VaultResponse]{Name: "auth/vault", Rule: transport.Offers(Service)}

	// Secrets themselves, for those who need them only.
	Hook  = transport.Method[Named, HookResponse]{Name: "auth/hook", Rule: transport.Offers("patrick")}
	Forge = transport.Method[Named, ForgeResponse]{Name: "auth/forge", Rule: transport.Offers("patrick")}
	// FunctionSecrets are of a project's functions, for those who run them.
	FunctionSecrets = transport.Method[Named, FunctionSecretsResponse]{Name: "auth/function-secrets", Rule: transport.Offers("substrate")}
	// CertificateOf is the certificate of a host with its private key, for those who answer there.
	CertificateOf = transport.Method[Named, CertificateOfResponse]{Name: "auth/certificate-of", Rule: transport.Offers("gateway")}
	Source        = transport.Method[SourceRequest, SourceResponse]{Name: "auth/source", Rule: transport.Offers("monkey")}
)
