package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"portreeve/userdb"
	"portreeve/userfile"
)

func noOptions() []option { return nil }

func doorStats() *door {
	return &door{
		name:   "pure-statsdecode",
		folder: "bin",
		what:   "make the times of a transfer log readable",
		use:    "FILE|-",
		about: `Pure-statsdecode prints a transfer log of the format "stats" with the time at
the beginning of each line, which is in seconds since 1970 there, as a date and a time
of day of this machine. Control characters are left out.`,
		options: noOptions,
		codes:   []exitMeaning{{0, "done"}, {1, "not one word was given"}, {255, "the file cannot be read"}},
		departs: []string{"A line that does not begin with a time is printed as it is, and one that is nothing but a time ends behind it. Pure-FTPd's program puts the beginning of 1970 in front of the first, takes its first letter away, and joins to an empty line, and to a time alone, what follows them."},
		example: `  pure-statsdecode /var/log/ftp.stats
  tail -f /var/log/ftp.stats | pure-statsdecode -`,
		run: runStatsDecode,
	}
}

func runStatsDecode(_ context.Context, e *env, c *doorCall) int {
	if len(c.args) != 1 {
		fmt.Fprintln(e.out, "Usage: pure-statsdecode [stats log file] [-]")
		return 1
	}
	in := e.in
	if c.args[0] != "-" {
		f, err := os.Open(c.args[0])
		if err != nil {
			c.say(e, "Can't open file: %s", reason(err))
			return 255
		}
		defer f.Close()
		in = f
	}
	out := bufio.NewWriterSize(e.out, 64<<10)
	err := decodeStats(out, in, time.Local)
	if err = cmp.Or(err, out.Flush()); err != nil && !errors.Is(err, syscall.EPIPE) {
		c.say(e, "Can't read file: %v", err)
		return 255
	}
	return exitDone
}

func decodeStats(out *bufio.Writer, in io.Reader, zone *time.Location) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := lines.ReadString('\n')
		text, ended := strings.CutSuffix(line, "\n")
		digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
		seconds, bad := strconv.ParseInt(text[:digits], 10, 40)
		if bad == nil && (digits == len(text) || text[digits] == ' ') {
			out.Write(time.Unix(seconds, 0).In(zone).AppendFormat(out.AvailableBuffer(), "2006/01/02 15:04:05"))
			text = text[digits:]
		}
		for i := range len(text) {
			if text[i] >= ' ' && text[i] != 0x7f {
				out.WriteByte(text[i])
			}
		}
		if ended {
			out.WriteByte('\n')
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func doorMRTG() *door {
	return &door{
		name:   "pure-mrtginfo",
		folder: "sbin",
		what:   "count the connections to the FTP server, for MRTG",
		use:    "[PORT]",
		about: `Pure-mrtginfo prints four lines, which is what MRTG asks of a program: how many
connections to port 21, or to PORT, there are, that number again, how long the system
has been up, and its name. It needs no daemon of ours and nobody's permission, but a
system that tells of connections in /proc/net. What the daemon itself counts,
portreeve-metrics(8) tells.`,
		options: noOptions,
		codes:   []exitMeaning{{0, "done"}},
		departs: []string{
			"A port that is none is refused with code 1, and not counted as 0 connections; a number with more behind it, or above 65535, not as some port.",
			"A second argument is passed over. With one, Pure-FTPd's program counts port 21, whatever the first is.",
		},
		example: `  pure-mrtginfo 2121`,
		run:     runMRTG,
	}
}

func runMRTG(_ context.Context, e *env, c *doorCall) int {
	port := uint64(21)
	if len(c.args) > 0 {
		var err error
		if port, err = strconv.ParseUint(c.args[0], 10, 16); err != nil || port == 0 {
			c.complain(e, fmt.Errorf("%q is no port", c.args[0]))
			return 1
		}
	}
	found := 0
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile("/proc/net/" + table)
		switch {
		case err == nil:
			found += established(string(text), uint16(port))
		case table == "tcp": // IPv6 may be off
			c.complain(e, fmt.Errorf("counting connections: %w", err))
			return 1
		}
	}
	host, _ := os.Hostname()
	fmt.Fprintf(e.out, "%d\n%[1]d\n%s\n%s\n", found, uptime(), host)
	return exitDone
}

// established counts the connections to a local port in a table of /proc/net.
func established(table string, port uint16) (n int) {
	const stateEstablished = "01"
	for line := range strings.Lines(table) {
		words := strings.Fields(line)
		if len(words) < 4 || words[3] != stateEstablished {
			continue
		}
		_, local, _ := strings.Cut(words[1], ":")
		if p, err := strconv.ParseUint(local, 16, 16); err == nil && uint16(p) == port {
			n++
		}
	}
	return n
}

// uptime tells how long the system has been up.
func uptime() string {
	text, _ := os.ReadFile("/proc/uptime")
	whole, _, _ := strings.Cut(string(text), ".")
	seconds, _ := strconv.ParseInt(whole, 10, 64) // 0 if nobody tells
	const day = 24 * 60 * 60
	return fmt.Sprintf("%d days, %d:%02d:%02d", seconds/day, seconds%day/3600, seconds/60%60, seconds%60)
}

func doorConvert() *door {
	return &door{
		name:   "pure-pwconvert",
		folder: "bin",
		what:   "make a password file of pure-pw from the users of the system",
		use:    "",
		about: `Pure-pwconvert prints a line of pureftpd.passwd for each user in /etc/passwd that
is not root or of root's group, has a home that is there, and a shell that is in
/etc/shells or called "ftp". Passwords are those of /etc/shadow where that may be read,
and else "*", with which nobody logs in.`,
		options: noOptions,
		codes:   []exitMeaning{{0, "done"}, {1, "/etc/passwd cannot be read"}},
		example: `  pure-pwconvert >>/etc/pure-ftpd/pureftpd.passwd`,
		departs: []string{
			"Only users in the file are printed, and none of a directory in the network.",
			"Who may not log in any more, since the account or its password has expired, gets \"*\". Pure-FTPd's program prints the hash, with which the account would be open again.",
		},
		run: func(_ context.Context, e *env, c *doorCall) int {
			if err := convertSystem(e.out, "/"); err != nil {
				c.complain(e, err)
				return 1
			}
			return exitDone
		},
	}
}

// convertSystem prints the users of the system that has its root there.
func convertSystem(w io.Writer, root string) error {
	in, err := os.Open(filepath.Join(root, "etc/passwd"))
	if err != nil {
		return fmt.Errorf("reading the users of the system: %w", err)
	}
	defer in.Close()
	o := userfile.Options{Shells: readShells(filepath.Join(root, "etc/shells")), HasHome: func(home string) bool {
		info, err := os.Stat(filepath.Join(root, home))
		return err == nil && info.IsDir() && home != ""
	}}
	if shadow, err := os.Open(filepath.Join(root, "etc/shadow")); err == nil {
		defer shadow.Close()
		o.Shadow = shadow
	}
	for entry, err := range userfile.Read(in, 0, userfile.Passwd, o) {
		if err != nil {
			return fmt.Errorf("reading the users of the system: %w", err)
		}
		var u userdb.User
		if entry.Set == nil || entry.Set(&u) != nil { // it is none to be taken over, or no user's line
			continue
		}
		if u.Disabled || !u.Expires.IsZero() && time.Now().After(u.Expires) || !strings.HasPrefix(u.Password, "$") {
			u.Password = "*"
		}
		_, err := fmt.Fprintf(w, "%s:%s:%d:%d:%s:%s/./\n", entry.Name, u.Password, u.UID, u.GID, u.Gecos, strings.TrimRight(u.Home, "/"))
		if err != nil {
			return err
		}
	}
	return nil
}

// readShells returns the shells that a login may have; those of getusershell(3) if
// there is no file.
func readShells(file string) map[string]bool {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte("/bin/sh\n/bin/csh\n")
	}
	shells := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "/") {
			shells[line] = true
		}
	}
	return shells
}

func doorFail() *door {
	return &door{
		name:    "pure-alwaysfail",
		folder:  "sbin",
		what:    "know no user, as a program of pure-authd",
		use:     "",
		about:   `Pure-alwaysfail is a program for pure-authd that knows nobody, so that the next way to log in is asked.`,
		options: noOptions,
		example: `  pure-authd -B -s /run/ftpd.sock -r /usr/sbin/pure-alwaysfail`,
		codes:   []exitMeaning{{0, "always"}},
		run: func(_ context.Context, e *env, _ *doorCall) int {
			fmt.Fprint(e.out, "auth_ok:0\nend\n")
			return exitDone
		},
	}
}
