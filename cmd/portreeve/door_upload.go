package main

import "context"

// exitUploadScript is how pure-uploadscript ends when it cannot start.
const exitUploadScript = 255

func doorUploadScript() *door {
	const name = "pure-uploadscript"
	return &door{
		name:   name,
		folder: "sbin",
		what:   "run a program for each upload, by the name and options of Pure-FTPd's",
		use:    "-r PROGRAM [-B] [-p FILE] [-u USER] [-g GROUP]",
		about: `Pure-uploadscript runs a program for each file that was uploaded to a server of ours
with CallUploadScript (-o), one at a time. It is "portreeve uploadscript" with the
options of Pure-FTPd's program; "portreeve uploadscript --help" tells what the program
gets. That of Pure-FTPd works with our server, too, if UploadPipe names its pipe.`,
		example: `  pure-ftpd -B -o
  pure-uploadscript -B -r /usr/local/bin/scan-upload`,
		options: func() []option {
			return []option{
				{letter: 'B', long: "daemonize", help: "Go to the background once it reads."},
				{letter: 'g', long: "gid", value: "group", help: "Group to run the program as, by number or name."},
				helpOption,
				{letter: 'p', long: "pidfile", value: "file", help: "Where to write the process id; for root it is /var/run/" + name + ".pid otherwise."},
				{letter: 'r', long: "run", value: "program", help: "Absolute path of the program."},
				{letter: 'u', long: "uid", value: "user", help: "User to run the program as, by number or name."},
			}
		},
		codes: []exitMeaning{
			{exitDone, "it ended because it was asked to, or it runs in the background; also after the options were printed"},
			{exitUploadScript, "it could not start"},
		},
		departs: []string{
			"Whoever runs the server may run it; Pure-FTPd's takes root alone, also for -h.",
			"It reads no pipe, and may be started before the server or after it; Pure-FTPd's server waits for the program, and this one for the server.",
			"What is uploaded while it does not run is told when it does, and what it was killed at is told again. A slow program keeps no client waiting. Pure-FTPd's loses what it has read, and its sessions wait when the pipe is full.",
			"Uploads that broke off are not told, and the program has UPLOAD_STATUS, too. Pure-FTPd's tells of them and has nothing to tell them by.",
			"Names with control characters reach the program, as they are; Pure-FTPd's passes over them.",
			"A file whose path cannot be resolved stays where it is; Pure-FTPd's server deletes it.",
			"The file for the process id is removed at the end. A program that is not there or cannot be run is told at the start.",
			"-u and -g take names, too, and what they cannot say is refused. Pure-FTPd's takes numbers only, and with anything else goes on as root. Only the program runs as that user; what reads stays root.",
			"-u without -g takes the group of that user, and not that of root.",
		},
		run: func(ctx context.Context, e *env, c *doorCall) int { return c.uploadScript(ctx, e) },
	}
}

// uploadScript runs our command with what pure-uploadscript's options said.
func (c *doorCall) uploadScript(ctx context.Context, e *env) int {
	args, given, ok := c.translate(e)
	if !ok {
		return exitDone
	}
	if _, said := given["run"]; !said {
		c.say(e, "Sorry, but I need -r <program to run>")
		c.say(e, "")
		c.writeOptions(e.out)
		return exitDone
	}
	if _, err := execute(ctx, e, append([]string{"uploadscript"}, args...)); err != nil {
		c.say(e, "%s", err)
		return exitUploadScript
	}
	return exitDone
}
