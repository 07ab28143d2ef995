//go:build !unix

package dreamland

import "os/exec"

// lockDir does nothing where the system has no such locks, and so nothing is removed
// there that may be somebody's.
func lockDir(string) (unlock func(), err error) { return func() {}, nil }

func removeDeserted(string) {}

// ownGroup does nothing where there are no such groups.
func ownGroup(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }
