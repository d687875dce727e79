package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"portreeve/stats"
)

// loadState goes on from a file; one that is not there is of a log that nobody
// has read.
func loadState(o stats.Options, file string) (*stats.Collector, *stats.Places, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return stats.NewCollector(o), new(stats.Places), nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the state: %w", err)
	}
	c, extra, err := stats.LoadState(o, text)
	if err == nil {
		var places *stats.Places
		if places, err = stats.LoadPlaces(extra); err == nil {
			return c, places, nil
		}
	}
	return nil, nil, withHint(fmt.Errorf("going on from %s: %w", file, err), "remove the file to read all logs again, or name another with --state")
}

// saveState replaces the file. One that is lost is made anew from the logs, so it
// is not waited for the disk.
func saveState(c *stats.Collector, places *stats.Places, file string) error {
	extra, err := places.Append(nil)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".stats-*")
	if err == nil {
		err = errors.Join(c.WriteState(temp, extra), temp.Close())
		if err == nil {
			err = os.Rename(temp.Name(), file)
		}
		if err != nil {
			_ = os.Remove(temp.Name()) // what could not be written is the error
		}
	}
	if err != nil {
		return fmt.Errorf("writing the state: %w", err)
	}
	return nil
}
