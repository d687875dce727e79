package vfs

// An actor runs jobs as a user.
type actor interface {
	do(job func() error) error
	// fit runs as the user, and returns what makes that more than the user.
	fit() error
}
