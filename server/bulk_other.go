//go:build !linux

package server

import "os"

const bulkThreads = 0

// bulk is for systems where a thread can have a priority of its own.
func (f *flow) bulk(*os.File, int64, func(*flow, int, int, int64) (int64, error)) (int64, error) {
	return 0, nil
}

func (f *flow) sendBulk(_, _ int, _ int64) (int64, error)      { return 0, nil }
func (f *flow) receiveBulk(_, _ int, _ int64) (int64, error)   { return 0, nil }
func (f *flow) sendSealed(_, _ int, _ int64) (int64, error)    { return 0, nil }
func (f *flow) receiveSealed(_, _ int, _ int64) (int64, error) { return 0, nil }

type bulkBuffer struct{}
