package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"portreeve/server/control"
)

func doorWho() *door {
	return &door{
		name:   "pure-ftpwho",
		folder: "sbin",
		what:   "who is connected to the FTP server, by the name and options of Pure-FTPd's program",
		use:    "[-c | -p | -s | -w | -W | -x] [-v] [-n]",
		about: `Pure-ftpwho is "portreeve who", which asks the daemon at the socket of
$PORTREEVE_SOCKET or else where it is by default. The last format given counts; a
web server that runs it as a CGI program gets a page.`,
		example: `  pure-ftpwho -n
  pure-ftpwho -s | awk -F '|' '$4 ~ /DL/ {print $2, $5}'`,
		options: whoDoorOptions,
		codes: []exitMeaning{
			{0, "done, also where nobody is connected, and after the help"},
			{1, "who calls it may not see the sessions"},
			{255, "no daemon answers, or what it says cannot be printed"},
		},
		departs: []string{
			"What stands for the process id is the session's id, which \"portreeve kick\" takes.",
			"Whoever may use the control socket may call it: root need not.",
			"That no daemon answers is said on standard error.",
			"The table's frame is as wide as its rows; XML quotes quotes, and says that its names are in UTF-8, which they are.",
			"The file of a transfer is shown by its whole path, and not as the client named it.",
			"The server's address is an address, also without -n: its name is not looked up.",
			"Pages are HTML5 in UTF-8; what a style sheet or a script goes by, the id ftp-status and the columns, is as it was.",
			"The address in a verbose table is in brackets if it is of IPv6, so that it ends before the port.",
		},
		run: runWhoDoor,
	}
}

func whoDoorOptions() []option {
	return []option{
		{letter: 'c', help: "Be called by a web server: a header, and a part of a page of HTML."},
		{letter: 'C', help: "The same as -c."},
		{letter: 'h', help: "Print the options and exit."},
		{letter: 'H', help: "Show addresses, look up no names."},
		{letter: 'n', help: "The same as -H."},
		{letter: 'p', help: "Print a property list of Apple and GNUstep."},
		{letter: 's', help: "Print a line for each session, fields parted by |: id, account, seconds, state, file, client, server, port, KB so far, KB in all, percent, KB/s."},
		{letter: 'v', help: "Print a table with sizes and the server's address."},
		{letter: 'w', help: "Print a page of HTML."},
		{letter: 'W', help: "Print a part of a page of HTML."},
		{letter: 'x', help: "Print XML."},
	}
}

func runWhoDoor(ctx context.Context, e *env, c *doorCall) int {
	said, _, err := getopt(c.options(), c.args)
	if err != nil {
		c.complain(e, err)
	}
	who := []string{"who"}
	for _, s := range said {
		switch s.letter {
		case 'h':
			err = optionError("help")
		case 'v': // which is about the table, and asks for none
			who = slices.Insert(who, 1, "-v")
		default:
			who = append(who, "-"+string(s.letter))
		}
	}
	if err != nil {
		c.writeHelp(e)
		return exitDone
	}
	_, err = execute(ctx, e, who)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, control.ErrDenied):
		fmt.Fprintln(e.out, "You must be root to run this. Sorry.")
		return 1
	}
	c.complain(e, err)
	return 255
}

// writeHelp prints the usage and what each option does.
func (c *doorCall) writeHelp(e *env) {
	var b strings.Builder
	b.WriteString("Usage:\n")
	for line := range strings.SplitSeq(c.use, "\n") {
		fmt.Fprintf(&b, "  %s\n", strings.TrimSpace(c.name+" "+line))
	}
	b.WriteString("\n")
	for _, o := range c.options() {
		name := "-" + string(o.letter)
		switch {
		case o.letter == 0:
			name = "--" + o.long
		case o.long != "":
			name += ", --" + o.long
		}
		if o.value != "" {
			name += " " + o.value
		}
		describe(&b, name, o.help)
	}
	fmt.Fprint(e.out, b.String())
}
