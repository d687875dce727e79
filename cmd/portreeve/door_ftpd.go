package main

import (
	"context"
	"fmt"
	"strings"

	"portreeve/server"
)

// exitFTPD is how pure-ftpd ends if it cannot start: 255 less the priority of the
// message, which is that of an error.
const exitFTPD = 252

func doorFTPD() *door {
	return &door{
		name:   "pure-ftpd",
		folder: "sbin",
		what:   "FTP server, by the name and options of Pure-FTPd",
		use:    "[FILE | options]",
		about: `Pure-ftpd is "portreeve serve" with the options of Pure-FTPd: one word that is
no option names a configuration file, and otherwise options alone say everything; no
file is read then. Each directive of portreeve.conf(5) is also an option by its long
name, and so are --config, --db and --socket. Without --login, those log in who are
in the database of "portreeve pw".`,
		example: `  pure-ftpd /etc/pure-ftpd/pure-ftpd.conf
  pure-ftpd -B -S 192.0.2.1,21 -c 100 -C 8 -p 30000:30100 -u 1000`,
		options: ftpdOptions,
		codes: []exitMeaning{
			{0, "it ended because it was asked to, or it runs in the background"},
			{exitFTPD, "an option, a directive or the configuration file is wrong, or it could not start"},
		},
		departs: []string{
			"A port that is taken ends it with code 252, and the process id of the server that has the port stays in its file. Pure-FTPd exits with 0 and removes that file.",
			"Why it cannot start is printed to standard error, where Pure-FTPd writes to descriptor 0 and the system's log.",
			"SIGHUP makes it read its configuration again. Pure-FTPd ends.",
			"It is not to be started by inetd: there is one process for all sessions.",
			"Which users log in without --login is the database of \"portreeve pw\", and not PAM or the system's users: --login unix lets those in.",
			"A value that is none is refused. Pure-FTPd starts with \"-k 200\", \"-I x\", \"-c -5\" and \"-U 999\", and takes them for something else.",
			"A list of ciphers that begins with a dash is refused where it says nothing. Pure-FTPd goes round in a loop that SIGTERM does not end.",
			"A client that drops the data connection of a download is answered 426. Pure-FTPd says nothing after its 150.",
			"A client that goes while a passive port waits for it frees its place at once, and not when the time to be idle is over.",
			"An upload that a quota refuses leaves nothing behind, and the file that was there as it was. Pure-FTPd has made an empty file by then, or emptied the old one.",
			"A second AUTH TLS on a connection is refused. Pure-FTPd answers 234, and no handshake follows.",
			"Where pure-certd says action:fallback and the file cannot be read, the server's own certificate is shown. Pure-FTPd 1.0.50 closes the connection.",
			"An address of IPv6 in a reply to EPRT is written without a scope.",
		},
		run: runFTPD,
	}
}

// ftpdOptions are made of the directives, and some that are not one.
func ftpdOptions() []option {
	var options []option
	for _, row := range server.Directives {
		o := option{long: row.LongFlag()}
		if row.Short != "" {
			o.letter, o.help = row.Short[0], row.Help
		}
		cfg := server.DefaultConfig()
		v := row.Bind(&cfg)
		if b, ok := v.(interface{ IsBoolFlag() bool }); !ok || !b.IsBoolFlag() {
			o.value = v.Type()
		}
		options = append(options, o)
	}
	return append(options, helpOption,
		option{long: "config", value: "file", help: "Configuration file, to which options add."},
		option{long: "db", value: "path"},
		option{long: "socket", value: "path"})
}

func runFTPD(ctx context.Context, e *env, c *doorCall) int {
	fatal := func(text string) int {
		for line := range strings.SplitSeq(text, "\n") {
			c.say(e, "421 %s", strings.TrimPrefix(line, "421 "))
		}
		return exitFTPD
	}
	said, words, err := getopt(c.options(), c.args)
	if err != nil {
		c.complain(e, err)
		return fatal("Unknown run-time option")
	}
	file, bad := "", ""
	switch {
	case len(words) == 1 && len(c.args) == 1:
		file = words[0]
	case len(words) > 0:
		bad = words[0]
	}
	if bad != "" {
		return fatal(fmt.Sprintf("Invalid argument: %q", bad))
	}
	serve := []string{"serve"}
	for _, s := range said {
		switch {
		case s.long == helpOption.long:
			fmt.Fprintln(e.out, "portreeve", version())
			fmt.Fprintln(e.out)
			c.writeOptions(e.out)
			return exitDone
		case s.long == "config":
			file = s.text
		case s.value == "": // said again it may mean more
			serve = append(serve, "--"+s.long)
		default:
			serve = append(serve, "--"+s.long+"="+s.text)
		}
	}
	if file == "" {
		file = "/dev/null" // options alone say everything
	}
	if _, err := execute(ctx, e, append(serve, "--config="+file)); err != nil {
		return fatal(err.Error())
	}
	return exitDone
}
