package main

import (
	"context"
	"errors"
	"path/filepath"
)

// How pure-authd and pure-certd end other than when they are asked to.
const (
	exitAnswerArgument = 254
	exitAnswerOther    = 255
)

var answerDeparts = []string{
	"Whoever may make the socket may run it. Pure-FTPd's program is for root alone.",
	"A file that stands where the socket is to be stays, and the program ends with code 255. Pure-FTPd's removes whatever has that name, when it starts and when it ends.",
	"A socket on which somebody answers already stays that one's.",
	"A program that is not there, or that cannot be run, is told at the start, and so is a file for the process id that cannot be written. Pure-FTPd's answers nobody then, and says nothing.",
	"-u and -g take names, too, and what they cannot say is refused with code 254. Pure-FTPd's takes numbers only, and with anything else goes on as root.",
	"-u without -g takes the group of that user, and not that of root.",
	"The program has a minute for its answer, and is ended then; Pure-FTPd's program waits for ever, and everybody else with it.",
}

func answerOptions(what string) func() []option {
	return func() []option {
		return []option{
			{letter: 'B', long: "daemonize", help: "Go to the background once it listens."},
			{letter: 'g', long: "gid", value: "group", help: "Group to run as, by number or name."},
			helpOption,
			{letter: 'p', long: "pidfile", value: "file", help: "Where to write the process id; for root it is /var/run/" + what + ".pid otherwise."},
			{letter: 'r', long: "run", value: "program", help: "Absolute path of the program."},
			{letter: 's', long: "socket", value: "path", help: "Socket to answer on."},
			{letter: 'u', long: "uid", value: "user", help: "User to run as once it listens, by number or name."},
		}
	}
}

func answerCodes() []exitMeaning {
	return []exitMeaning{
		{0, "it ended because it was asked to, or it runs in the background; also after the options were printed"},
		{exitAnswerArgument, "the socket or the program is missing, or an argument is wrong"},
		{exitAnswerOther, "it could not start"},
	}
}

func doorAuthd() *door {
	const name = "pure-authd"
	return &door{
		name:   name,
		folder: "sbin",
		what:   "run a program that decides who may log in, by the name and options of Pure-FTPd's",
		use:    "-s SOCKET -r PROGRAM [-B] [-p FILE] [-u USER] [-g GROUP]",
		about: `Pure-authd answers, on a Unix socket, the logins of servers that have it in ExtAuth
(--login extauth:SOCKET): ours, and Pure-FTPd. For each it runs the program, one at a
time, with the login in its environment, and hands on what that prints. It is
"portreeve authd" with the options of Pure-FTPd's program; "portreeve authd --help"
tells what the program gets and may say.`,
		example: `  pure-authd -B -s /var/run/ftpd.sock -r /usr/local/bin/ftp-auth
  pure-ftpd --login extauth:/var/run/ftpd.sock`,
		options: answerOptions(name),
		codes:   answerCodes(),
		departs: append([]string{"A program that says nothing refuses the login. Pure-FTPd asks the next way to log in then."}, answerDeparts...),
		run: func(ctx context.Context, e *env, c *doorCall) int {
			return c.answer(ctx, e, "authd", "auth")
		},
	}
}

func doorCertd() *door {
	const name = "pure-certd"
	return &door{
		name:   name,
		folder: "sbin",
		what:   "run a program that chooses certificates, by the name and options of Pure-FTPd's",
		use:    "-s SOCKET -r PROGRAM [-B] [-p FILE] [-u USER] [-g GROUP]",
		about: `Pure-certd answers, on a Unix socket, servers that have it in ExtCert: ours, and
Pure-FTPd. For each client that names a host as TLS begins it runs the program, one at
a time, with that name in CERTD_SNI_NAME, and hands on what that prints. It is
"portreeve certd" with the options of Pure-FTPd's program; "portreeve certd --help"
tells what the program may say.`,
		example: `  pure-certd -B -s /var/run/ftpd-certs.sock -r /usr/local/bin/ftp-cert
  pure-ftpd --tls 1 --extcert /var/run/ftpd-certs.sock`,
		options: answerOptions(name),
		codes:   answerCodes(),
		departs: answerDeparts,
		run: func(ctx context.Context, e *env, c *doorCall) int {
			return c.answer(ctx, e, "certd", "cert")
		},
	}
}

// answer runs a command of ours with what pure-authd's options said. kind is how
// that program calls the program which it runs.
func (c *doorCall) answer(ctx context.Context, e *env, command, kind string) int {
	args, given, ok := c.translate(e)
	if !ok {
		return exitDone
	}
	switch {
	case !filepath.IsAbs(given["run"]):
		c.say(e, "You must give -r /path/to/%s/program", kind)
		return exitAnswerArgument
	case given["socket"] == "":
		c.say(e, "You must give -s /path/to/socket")
		return exitAnswerArgument
	}
	_, err := execute(ctx, e, append([]string{command, "--at-once=1", "--time-limit=1m"}, args...))
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errUsage):
		c.say(e, "%s", err)
		return exitAnswerArgument
	}
	c.say(e, "%s", err)
	return exitAnswerOther
}

// translate makes flags of ours from the options of a daemon, and returns what was
// given by its long name. It returns false where the options were printed, which is
// all then. Other words are passed over, as there; root has a file for the process
// id without asking for it.
func (c *doorCall) translate(e *env) (args []string, given map[string]string, ok bool) {
	said, _, err := getopt(c.options(), c.args)
	if err != nil {
		c.complain(e, err)
		c.writeOptions(e.out)
		return nil, nil, false
	}
	given = make(map[string]string)
	for _, s := range said {
		switch {
		case s.letter == 'h':
			c.writeOptions(e.out)
			return nil, nil, false
		case s.value == "":
			args = append(args, "--"+s.long)
		default:
			given[s.long] = s.text
			args = append(args, "--"+s.long+"="+s.text)
		}
	}
	if _, said := given["pidfile"]; !said && isRoot() {
		args = append(args, "--pidfile=/var/run/"+c.name+".pid")
	}
	return args, given, true
}
