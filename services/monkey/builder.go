package monkey

import (
	"context"
	"errors"

	"github.com/taucloud/tau/project/build"
	"github.com/taucloud/tau/services/patrick/patrickapi"
)

// Builder makes an artifact of a commit.
type Builder interface {
	// Build takes as long as it needs, until ctx ends. Equal requests must give equal artifacts,
	// because two monkeys may build one commit. An error made with UserError is permanent: the
	// pushed tree is at fault. After any other error another attempt is made.
	Build(ctx context.Context, r Request) (Result, error)
}

// Toolchains is a Builder that says beforehand what would carry out a step. What the version that is live has of an equal step, made by the
// same toolchain, is then taken over and not built once more.
type Toolchains interface {
	// Toolchain is what [Result].Toolchain would be of a step, "" if that shows only when it is built.
	Toolchain(ctx context.Context, s build.Step) (string, error)
}

// Request is one attempt to build a commit.
type Request struct {
	Job     patrickapi.Job
	Attempt uint64
	Tree    patrickapi.Tree
	// Step is what to build of a project, of the toolchains that run a program; the artifact is its asset. nil: the
	// tree is no project, and is built as a whole.
	Step *build.Step
	// Secrets are the project's build secrets, by name: for the environment of its steps. None of them is in the log, whatever is written there.
	Secrets map[string]string
	// Places is where in Tree the code of websites and libraries is that have a repository of their own, and Parts are the commits of the
	// project's other repositories that are in it.
	Places build.Places
	Parts  map[string]string
	// Log takes a line of the build's log.
	Log func(line string)
	// Flush lets those who follow the log see its lines now: otherwise a few travel together.
	Flush func()
}

// Result is what was built.
type Result struct {
	// Artifact is the content to run or serve.
	Artifact []byte
	// Toolchain is what the toolchain of a step says of itself: its name and version.
	Toolchain string
	// Sandbox is what kept the build of a step apart, for people; "" if nothing had to.
	Sandbox string
	// Entries are further entries for the registry, by path.
	Entries map[string]string
}

// UserError makes an error that is permanent: no other attempt is made.
func UserError(text string) error { return &userError{text} }

type userError struct{ text string }

func (e *userError) Error() string { return e.text }

// IsUserError reports whether an error was made with UserError.
func IsUserError(err error) bool {
	var u *userError
	return errors.As(err, &u)
}
