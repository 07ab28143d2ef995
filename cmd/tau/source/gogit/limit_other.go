//go:build !linux && !darwin

package gogit

func limit(int64) error { return nil }
