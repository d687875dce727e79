//go:build !linux

package vfs

// openRoot opens the host directory host as a root.
func openRoot(host string) (root, error) { return openOSRoot(host) }
