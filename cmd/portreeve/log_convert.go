package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portreeve/logfile"
	"portreeve/logparse"
)

type logConvertOptions struct {
	source logSource
	filter logFilter
	to     string
	toZone string
	out    string
}

func newLogConvert(e *env) *cobra.Command {
	var opts logConvertOptions
	cmd := &cobra.Command{
		Use:   "convert --to FORMAT [flags] [FILE...]",
		Short: "Write logs in another format",
		Long: `Convert reads logs and writes what they tell in another format. What that has no
room for is told once, with the number of entries that had it. A format that
has no time zones writes what the clocks show in --to-zone.

` + logFormatsHelp() + `

` + logFilesHelp + `

A line that cannot be read is told with its file and number, and the others are
converted.

` + periodHelp() + `

` + exitStatusHelp,
		Example: `  portreeve log convert --to json /var/log/xferlog >transfers.json
  portreeve log convert --zone Europe/Paris --to clf 'xferlog*' -o access.log
  portreeve log convert --to w3c --since 'last month' --rotated ftp.json
  portreeve log convert --to xferlog --to-zone UTC <ftp.json -`,
	}
	fs := cmd.Flags()
	addLogSource(e, cmd, &opts.source)
	fs.StringVar(&opts.to, "to", "", "`format` to write")
	fs.StringVar(&opts.toZone, "to-zone", "", "time `zone` of what is written (default that of --zone)")
	fs.StringVarP(&opts.out, "out", "o", "", "`file` to write, once all is read; without it standard output")
	opts.filter.addFlags(fs)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runLogConvert(cmd.Context(), e, opts, args) }
	return cmd
}

// logFormatsHelp lists the formats.
func logFormatsHelp() string {
	var b strings.Builder
	b.WriteString("The formats are:\n")
	for _, f := range logparse.Formats {
		describe(&b, "  "+f.Name, f.Help)
	}
	return strings.TrimRight(b.String(), "\n")
}

func runLogConvert(ctx context.Context, e *env, opts logConvertOptions, args []string) error {
	if opts.to == "" {
		return withHint(usagef("convert needs --to FORMAT"), "the formats are %s", strings.Join(logparse.Names(), ", "))
	}
	c := logConverter{}
	var err error
	if c.to, err = formatNamed("--to", opts.to); err != nil {
		return err
	}
	if c.zone, err = zoneNamed("--to-zone", cmp.Or(opts.toZone, opts.source.zone)); err != nil {
		return err
	}
	r, err := newLogReading(&opts.source, &opts.filter, args, opts.out == "" && terminalWidth(e.out) > 0)
	if err != nil {
		return err
	}
	write := func(w io.Writer) error { return c.write(ctx, w, r) }
	if opts.out == "" {
		err = write(e.out)
	} else if err = apart(opts.out, r.files); err == nil {
		err = replaceFile(opts.out, write)
	}
	if err != nil {
		return r.end(err)
	}
	c.tell(e)
	return r.end(nil)
}

// apart refuses to write what is no file, and over what is read.
func apart(out string, files []*logfile.File) error {
	info, err := os.Stat(out)
	if err != nil {
		return nil // it is not there, or making it will fail
	}
	if !info.Mode().IsRegular() {
		return withHint(usagef("%s is no regular file", out), "without -o the log goes to standard output")
	}
	for _, f := range files {
		if f.Is(info) {
			return withHint(usagef("%s is one of the logs that are read", out), "its server may be writing it")
		}
	}
	return nil
}

// A logConverter writes entries in a format, and counts what is lost.
type logConverter struct {
	to      logparse.Format
	zone    *time.Location
	written int
	lost    map[logparse.Fields]int64
	none    map[logparse.Event]int64
}

func (c *logConverter) write(ctx context.Context, w io.Writer, r *logReading) error {
	return c.writeEach(w, func(do func(*logparse.Entry) error) error { return r.each(ctx, do) })
}

// writeEach writes the entries that each has done.
func (c *logConverter) writeEach(w io.Writer, each func(do func(*logparse.Entry) error) error) error {
	c.lost, c.none = make(map[logparse.Fields]int64), make(map[logparse.Event]int64)
	out := bufio.NewWriterSize(w, 256<<10)
	header := c.to.Header
	var line []byte
	err := each(func(e *logparse.Entry) error {
		e.Time = e.Time.In(c.zone)
		if header != nil {
			if _, err := out.WriteString(header(e.Time)); err != nil {
				return err
			}
			header = nil
		}
		if line = c.to.AppendEntry(line[:0], e); len(line) == 0 {
			c.none[e.Event]++
			return nil
		}
		c.written++
		if lost := c.to.Lost(e); lost != 0 && e.Style.Format != c.to.Name {
			c.lost[lost]++
		}
		_, err := out.Write(line)
		return err
	})
	if err == nil && header != nil {
		_, err = out.WriteString(header(time.Now()))
	}
	return cmp.Or(err, out.Flush())
}

// tell says what the format could not hold.
func (c *logConverter) tell(e *env) {
	var parts []string
	for field := logparse.Fields(1); field != 0; field <<= 1 {
		n := int64(0)
		for lost, times := range c.lost {
			if lost&field != 0 {
				n += times
			}
		}
		if names := field.Names(); n > 0 && len(names) > 0 {
			parts = append(parts, fmt.Sprintf("%s of %d", names[0], n))
		}
	}
	if len(parts) > 0 {
		complain(e, fmt.Sprintf("%s has no room for what entries say: %s", c.to.Name, strings.Join(parts, ", ")))
	}
	parts = nil
	for i, name := range logparse.EventNames() {
		if n := c.none[logparse.Event(i)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, name))
		}
	}
	if len(parts) > 0 {
		complain(e, fmt.Sprintf("%s has no lines for what is left out: %s", c.to.Name, strings.Join(parts, ", ")))
	}
}
