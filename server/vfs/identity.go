package vfs

// An actor runs jobs as a user.
type actor interface {
	do(job func() error) error
}
