package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"portreeve/config"
	"portreeve/userfile"
)

// MarshalText is String.
func (s status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// An importRow tells what becomes of one user.
type importRow struct {
	Line    int          `json:"line"`
	Name    string       `json:"name"`
	Status  status       `json:"status"`
	Why     string       `json:"why,omitzero"` // it is refused or left out
	Changes []difference `json:"changes,omitzero"`
	Notes   []string     `json:"notes,omitzero"` // what an administrator should know
}

// what says in words what there is to say besides the status.
func (r importRow) what() string {
	var said []string
	if r.Why != "" {
		said = append(said, r.Why)
	}
	for _, d := range r.Changes {
		if d.From == "" && d.To == "" {
			said = append(said, d.Name)
			continue
		}
		said = append(said, fmt.Sprintf("%s: %s -> %s", d.Name, orDash(d.From), orDash(d.To)))
	}
	return strings.Join(append(said, r.Notes...), "; ")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// An importReport prints rows as they come, so that a million of them take no
// memory. Without --dry-run it prints those of which there is something to say.
type importReport struct {
	out    *bufio.Writer
	json   *json.Encoder // nil for a table
	all    bool
	begun  bool
	counts [statuses]int
	taken  bool // somebody is refused for being there already
}

func newImportReport(e *env, asJSON, all bool) *importReport {
	r := &importReport{out: bufio.NewWriterSize(e.out, 64<<10), all: all}
	if asJSON {
		r.json = json.NewEncoder(r.out)
		r.json.SetEscapeHTML(false)
	}
	return r
}

// The columns of the table; the last one is broken into lines.
const importTable = "%6s  %-9s  %-18s  %s"

const importWhat = 80 - 6 - 2 - 9 - 2 - 18 - 2

func (r *importReport) add(row importRow) error {
	r.counts[row.Status]++
	if r.json != nil {
		return r.json.Encode(row)
	}
	if !r.all && row.Status != refused && len(row.Notes) == 0 {
		return nil
	}
	if !r.begun {
		r.begun = true
		fmt.Fprintf(r.out, importTable+"\n", "LINE", "STATUS", "USER", "WHAT")
	}
	lines := config.Wrap(visible(row.what()), importWhat)
	name := visible(row.Name)
	first := ""
	if len(lines) > 0 && columns(name) <= 18 {
		first, lines = lines[0], lines[1:]
	}
	line := fmt.Sprintf(importTable, strconv.Itoa(row.Line), row.Status, pad(name, 18), first)
	_, err := r.out.WriteString(strings.TrimRight(line, " ") + "\n")
	for _, more := range lines {
		fmt.Fprintf(r.out, importTable+"\n", "", "", "", more)
	}
	return err
}

func (r *importReport) flush() error { return r.out.Flush() }

// summary says in a line what became of the users of a file.
func (r *importReport) summary(name string, format userfile.Format, dryRun bool) string {
	var parts []string
	for s := range statuses {
		if n := r.counts[s]; n > 0 || s == added {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	said := fmt.Sprintf("%s (%s): %s", name, format, strings.Join(parts, ", "))
	if dryRun {
		said += "; nothing is changed"
	}
	return said
}
