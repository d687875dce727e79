package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"portreeve/config"
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
in the database of "portreeve pw". The folders that anonymous sees by the server's
address are those of ` + debianRoots + ` where that is there.`,
		example: `  pure-ftpd /etc/pure-ftpd/pure-ftpd.conf
  pure-ftpd -B -S 192.0.2.1,21 -c 100 -C 8 -p 30000:30100 -u 1000`,
		options: ftpdOptions,
		codes: []exitMeaning{
			{0, "it ended because it was asked to, or it runs in the background"},
			{exitFTPD, "an option, a directive or the configuration file is wrong, or it could not start"},
		},
		departs: sentences(serverDivergences()),
		run:     runFTPD,
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
	if !slices.ContainsFunc(said, func(o saying) bool { return o.long == "anonymousroots" }) {
		if roots := addressRoots(debianRoots, file); roots != "" {
			serve = append(serve, "--anonymousroots="+roots)
		}
	}
	if _, err := execute(ctx, e, append(serve, "--config="+file)); err != nil {
		return fatal(err.Error())
	}
	return exitDone
}

// debianRoots is where Debian's Pure-FTPd looks for anonymous roots by address; that
// of others looks where AnonymousRoots has its default.
const debianRoots = "/etc/pure-ftpd/pure-ftpd"

// addressRoots returns the folder if it is there and the configuration names no other.
func addressRoots(folder, file string) string {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return ""
	}
	said, err := config.Statements(file)
	if err != nil || slices.ContainsFunc(said, func(s config.Statement) bool { return strings.EqualFold(s.Name, "AnonymousRoots") }) {
		return "" // serve tells what is wrong
	}
	return folder
}
