package authapi_test

import (
	"testing"

	"github.com/taucloud/tau/services/auth/authapi"
	"github.com/taucloud/tau/transport/goldentest"
)

// TestGolden: what is sent.
func TestGolden(t *testing.T) {
	goldentest.Check(t,
		authapi.RenewRequest{},
		authapi.AdmitRequest{},
		authapi.CertificateResponse{},
		authapi.RevocationsRequest{},
		authapi.RevocationsResponse{},
		authapi.InviteRequest{},
		authapi.InviteResponse{},
		authapi.InvitationsRequest{},
		authapi.InvitationsResponse{},
		authapi.Invited{},
		authapi.WithdrawRequest{},
		authapi.WithdrawResponse{},
		authapi.HonourRequest{},
		authapi.HonourResponse{},
		authapi.Ballot{},
		authapi.TallyRequest{},
		authapi.TallyResponse{},
		authapi.RevokeRequest{},
		authapi.RevokeResponse{},
		authapi.RotateRequest{},
		authapi.RotateResponse{},
		authapi.TokenCreateRequest{},
		authapi.TokenCreateResponse{},
		authapi.TokenListRequest{},
		authapi.TokenListResponse{},
		authapi.TokenState{},
		authapi.TokenRevokeRequest{},
		authapi.TokenRevokeResponse{},
		authapi.TokenCheckRequest{},
		authapi.TokenCheckResponse{},
		authapi.Project{},
		authapi.Repository{},
		authapi.SecretID{},
		authapi.SecretState{},
		authapi.Done{},
		authapi.Named{},
		authapi.PageRequest{},
		authapi.ProjectsResponse{},
		authapi.RepositoriesResponse{},
		authapi.RepositoryResponse{},
		authapi.SecretPutRequest{},
		authapi.SecretPutResponse{},
		authapi.SecretsRequest{},
		authapi.SecretsResponse{},
		authapi.SecretRevokeRequest{},
		authapi.HookResponse{},
		authapi.ForgeResponse{},
		authapi.SourceRequest{},
		authapi.SourceResponse{},
		authapi.AuditEntry{},
		authapi.AuditRequest{},
		authapi.AuditResponse{},
		authapi.VaultRequest{},
		authapi.VaultResponse{},
	)
}
