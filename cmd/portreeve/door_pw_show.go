package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"portreeve/puredb"
	"portreeve/purepw"
	"portreeve/userdb"
)

// What pure-pw shows and lists.

// shownEntry is an entry with "-" for lists that its line does not have.
func shownEntry(e *purepw.Entry) *purepw.Entry {
	shown := *e
	if !e.HasLists() {
		for _, list := range []*string{&shown.AllowLocal, &shown.DenyLocal, &shown.AllowClient, &shown.DenyClient} {
			*list = cmp.Or(*list, "-")
		}
	}
	return &shown
}

// entryOf is a user of the database as a line would have it, but for the lists,
// which may hold what a line cannot.
func entryOf(u *userdb.User) *purepw.Entry {
	fields, _ := puredb.FormatUser(u, time.Now())
	e, _ := purepw.Parse(u.Name + ":" + fields)
	e.AllowLocal, e.DenyLocal = u.AllowLocal.String(), u.DenyLocal.String()
	e.AllowClient, e.DenyClient = u.AllowClient.String(), u.DenyClient.String()
	return &e
}

func (j *pwJob) show(e *purepw.Entry) error {
	number := func(text string) uint64 { n, _ := strconv.ParseUint(text, 10, 64); return n }
	word := func(limited bool) string {
		if limited {
			return "enabled"
		}
		return "unlimited"
	}
	rate := func(text string) string {
		return fmt.Sprintf("%d Kb (%s)", number(text)>>10, word(number(text) > 0))
	}
	uid, gid := "-", "-"
	if found, err := user.LookupId(e.UID); err == nil {
		uid = found.Username
	}
	if found, err := user.LookupGroupId(e.GID); err == nil {
		gid = found.Name
	}
	from, to, _ := strings.Cut(e.Hours, "-")
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-18s : %s\n", name, visible(fmt.Sprintf(format, args...)))
	}
	b.WriteByte('\n')
	line("Login", "%s", e.Login)
	line("Password", "%s", e.Password)
	line("UID", "%s (%s)", e.UID, uid)
	line("GID", "%s (%s)", e.GID, gid)
	line("Directory", "%s", e.Home)
	line("Full name", "%s", e.Gecos)
	line("Download bandwidth", "%s", rate(e.DownloadRate))
	line("Upload   bandwidth", "%s", rate(e.UploadRate))
	line("Max files", "%d (%s)", number(e.Files), word(e.Files != ""))
	line("Max size", "%d Mb (%s)", number(e.Bytes)>>20, word(e.Bytes != ""))
	line("Ratio", "%d:%d (%s:%s)", number(e.UploadRatio), number(e.DownloadRatio),
		word(number(e.UploadRatio) > 0), word(number(e.DownloadRatio) > 0))
	line("Allowed local  IPs", "%s", e.AllowLocal)
	line("Denied  local  IPs", "%s", e.DenyLocal)
	line("Allowed client IPs", "%s", e.AllowClient)
	line("Denied  client IPs", "%s", e.DenyClient)
	line("Time restrictions", "%04d-%04d (%s)", number(from), number(to), word(e.Hours != ""))
	line("Max sim sessions", "%d (%s)", number(e.Sessions), word(number(e.Sessions) > 0))
	b.WriteByte('\n')
	_, err := fmt.Fprint(j.out, b.String())
	return err
}

// reason is what the system says of a file, begun as the C library does.
func reason(err error) string {
	if no, ok := errors.AsType[syscall.Errno](err); ok {
		text := no.Error()
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return err.Error()
}

// lister prints lines of the list, in columns on a terminal.
func (j *pwJob) lister() (print func(login, home, gecos string), end func() error) {
	out := bufio.NewWriterSize(j.out, 64<<10)
	format := "%s\t%s\t%s\n"
	if terminalWidth(j.out) > 0 {
		format = "%-19s %-39s %-19s\n"
	}
	return func(login, home, gecos string) {
		fmt.Fprintf(out, format, visible(login), visible(home), visible(gecos))
	}, out.Flush
}

func (j *pwJob) listText() error {
	print, end := j.lister()
	for line, err := range purepw.At(j.text).Lines() {
		if err != nil {
			return pwFaultf(exitPwFile, "Unable to open the passwd file: %s", reason(err))
		}
		e, ok := purepw.Parse(line)
		if !ok {
			j.warn(line)
			continue
		}
		print(e.Login, e.Home, e.Gecos)
	}
	return end()
}

func (j *pwJob) listDB() error {
	if err := j.checkDB(); err != nil {
		return err
	}
	print, end := j.lister()
	for u, err := range j.db().All() {
		switch {
		case errors.Is(err, userdb.ErrMalformed):
			j.warn(u.Name)
			continue
		case err != nil:
			return pwFaultf(exitPwFile, "Unable to open the database: %v", err)
		}
		e := entryOf(&u)
		print(e.Login, e.Home, e.Gecos)
	}
	return end()
}
