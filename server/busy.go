package server

import "errors"

// What is refused while the machine has too much to do, or too little room.

// errCrowded: the disk is as full as it may become through uploads.
var errCrowded = errors.New("disk is fuller than MaxDiskUsage")

// errLoad: the machine has as much to do as anonymous may have it do.
var errLoad = errors.New("load is as high as MaxLoad")

// calm refuses a download to anonymous while the load is as high as MaxLoad. If
// nobody can tell, the limit holds.
func (s *session) calm() error {
	if s.cfg.MaxLoad == 0 || !s.account.Anonymous {
		return nil
	}
	load, err := s.srv.loadAverage()
	switch {
	case err != nil:
		s.log.Error("finding the load, which MaxLoad limits", "err", err)
		return &failure{say(550, "Downloads are not possible now, try again later"), err}
	case load >= s.cfg.MaxLoad:
		return &failure{sayf(550, "The load is %.2f, and anonymous downloads wait until it is below %.2f", load, s.cfg.MaxLoad), errLoad}
	}
	return nil
}

// roomFor refuses to store at path if the file system there is fuller than
// MaxDiskUsage.
func (s *session) roomFor(path string) error {
	if s.cfg.MaxDiskUsage == 0 {
		return nil
	}
	used, err := s.fs.DiskUsed(path, &s.srv.disks)
	if err != nil {
		if err := s.fs.Storable(path); err != nil { // what is wrong with path goes first
			return err
		}
		s.log.Error("finding how full the disk is, which MaxDiskUsage limits", "path", path, "err", err)
		return &failure{say(451, "Local error"), err}
	}
	if used > float64(s.cfg.MaxDiskUsage) {
		return errCrowded
	}
	return nil
}

// mayRetrieve tells whether n bytes of a file may be fetched now.
func (s *session) mayRetrieve(n int64) error {
	if err := s.calm(); err != nil {
		return err
	}
	return s.mayFetch(n)
}
