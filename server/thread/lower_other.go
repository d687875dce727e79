//go:build !linux

package thread

// Lower is for systems where a thread has a priority of its own.
func Lower(int) {}
