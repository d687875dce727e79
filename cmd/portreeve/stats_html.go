package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"portreeve/stats"
	statspage "portreeve/stats/page"
)

// writeStatsPage writes a report as a page, to the output if the file is called "-". A
// file appears whole or not at all; one that was there is replaced, so that who has
// it open keeps what is shown.
func writeStatsPage(e *env, file string, r *stats.Report) error {
	if file == "-" {
		return statspage.Write(e.out, r)
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".report-*")
	if err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	err = errors.Join(statspage.Write(temp, r), temp.Chmod(0o644), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(temp.Name()) // what could not be written is the error
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}
