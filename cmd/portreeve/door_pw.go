package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"portreeve/purepw"
	"portreeve/server"
	"portreeve/userdb"
)

// The exit codes of pure-pw. With -m those of the action and of what follows it
// are put together, bit by bit.
const (
	exitPwArgument = 1
	exitPwFile     = 2
	exitPwConflict = 4
	exitPwPassword = 8
	exitPwNoUser   = 16
	exitPwID       = 32
	exitPwHome     = 64
	exitPwOther    = 255
)

func doorPw() *door {
	return &door{
		name:   "pure-pw",
		folder: "bin",
		what:   "keep the users of the FTP server, by the name and options of Pure-FTPd's program",
		use: `useradd LOGIN -u USER [-g GROUP] {-d|-D} HOME [options]
usermod LOGIN [options]
userdel LOGIN [-f FILE] [-m]
passwd LOGIN [-f FILE] [-m]
show LOGIN [-f FILE]
list [-f FILE]
mkdb [DATABASE] [-f FILE]`,
		about: `Pure-pw keeps virtual users. With -f FILE, or a file in $PURE_PASSWDFILE, it
edits that text, a line for each user, as Pure-FTPd's program does; mkdb, or -m with
any change, then commits the text to the database: the one of -F, of mkdb's argument or
of $PURE_DBFILE, else that of "portreeve pw". Afterwards the database has the users of
the text and no others; what a line cannot say of a user, such as a date of expiry,
stays as it was. Where the database is a file that Pure-FTPd's program made, it stays
one, so that Pure-FTPd itself can go on with it, and can be gone back to.

Without a text it works on the database itself, with the same commands and options;
there, mkdb and -m have nothing left to do. What it changes holds at once.

A password is asked for twice. Without a terminal it is two lines of standard input.
An empty value, as in -t '', takes a limit away.`,
		options: pwDoorOptions,
		example: `  pure-pw useradd joe -f /etc/pureftpd.passwd -u ftp -d /home/ftp/joe -m
  printf 'secret\nsecret\n' | pure-pw passwd joe
  pure-pw usermod joe -N 10240 -t 500`,
		codes: []exitMeaning{
			{0, "done, also after the help"},
			{exitPwArgument, "an option or a value is wrong"},
			{exitPwFile, "the text or the database cannot be read"},
			{exitPwConflict, "the user is there already, or is not, or the text cannot be written"},
			{exitPwPassword, "no password was entered the same twice"},
			{exitPwNoUser, "there is no such user to be shown or changed"},
			{exitPwID, "user or group are not there, or root's"},
			{exitPwHome, "there is no home"},
			{exitPwOther, "the database cannot be written, and what is not expected"},
		},
		departs: []string{
			"A text is locked while it is edited, and what an edit that was cut off left behind stands in nobody's way. Pure-FTPd's program takes no lock, and a left FILE.tmp makes it refuse every change.",
			"A text that is a link stays one, and keeps its owner.",
			"\"list -f FILE\" lists that file, and \"mkdb -F FILE\" makes it. Pure-FTPd's program ignores the one, and calls its database \"-F\" in the other. \"list x -f FILE\" works as it does there.",
			"What commits a text to a database of Portreeve removes the users whom the text no longer has, also those that were added without it.",
			"-M takes any number of megabytes. Pure-FTPd's program refuses less than 8192. As -C, it changes nothing: a hash costs what PasswordCost says.",
			"Passwords are hashed by scrypt ($7$), which Pure-FTPd reads.",
			"Numbers that are none, or negative, are refused with code 1. Pure-FTPd's program stores what it reads of them: \"-y x\" is no limit there, and \"-n x\" one of 0.",
			"An address of IPv6 is refused where users are in a text: its colons would make fields of it, and the list another one. The database holds it.",
			"An empty password is refused with code 8: anybody would have it.",
			"A home that is no absolute path, or climbs, is refused with code 64, and a user name that the system does not know with 32.",
			"Where users are committed to a database of Portreeve, a line that is not understood to its end is left out with a warning, and a start within a home (/home/./start) is the home itself.",
		},
		run: runPwDoor,
	}
}

func pwDoorOptions() []option {
	return []option{
		{letter: 'f', value: "file", help: "Text of users to be edited."},
		{letter: 'F', value: "database", help: "Database that -m and mkdb write; without a text, the database to be changed."},
		{letter: 'm', help: "Commit the text to the database afterwards."},
		{long: "puredb", help: "Make a database that is not there yet one of Pure-FTPd's."},
		{letter: 'u', value: "user", help: "System user, by number or name, that owns the files. A name also sets the group."},
		{letter: 'g', value: "group", help: "System group of the files, by number or name."},
		{letter: 'd', value: "home", help: "Home that the user sees nothing outside of."},
		{letter: 'D', value: "home", help: "Home that the user may leave."},
		{letter: 'c', value: "text", help: "Full name or a comment; a colon in it becomes _."},
		{letter: 't', value: "KB/s", help: "Most bandwidth of a download. 0 changes nothing."},
		{letter: 'T', value: "KB/s", help: "Most bandwidth of an upload. 0 changes nothing."},
		{letter: 'n', value: "number", help: "Most files; 0 allows none."},
		{letter: 'N', value: "MB", help: "Most bytes of all files; 0 allows none."},
		{letter: 'q', value: "number", help: "Part of uploads in the ratio to downloads."},
		{letter: 'Q', value: "number", help: "Part of downloads in that ratio."},
		{letter: 'y', value: "number", help: "Most sessions at a time; 0 is unlimited."},
		{letter: 'z', value: "hhmm-hhmm", help: "Hours of the day in which a login is let in."},
		{letter: 'r', value: "addresses", help: "Where clients may connect from, parted by commas."},
		{letter: 'R', value: "addresses", help: "Where they may not."},
		{letter: 'i', value: "addresses", help: "Which of the server's addresses they may connect to."},
		{letter: 'I', value: "addresses", help: "Which of them they may not."},
		{letter: 'C', value: "number", help: "Logins at a time; accepted and not needed."},
		{letter: 'M', value: "MB", help: "Memory for hashing; accepted and not needed."},
		{letter: 'h', help: "Print the options and exit."},
	}
}

// A pwJob is what pure-pw was asked to do.
type pwJob struct {
	*env
	*doorCall
	ctx     context.Context
	command string
	words   []string // the login, or for mkdb the database
	login   string
	edit    pwEdit
	text    string // the file of users; "" is none
	to      string // the database that was named; "" is ours
	commit  bool
	puredb  bool
}

// A pwFault ends pure-pw with its code.
type pwFault struct {
	code int
	text string
}

func (f *pwFault) Error() string { return f.text }

func pwFaultf(code int, format string, args ...any) error {
	return &pwFault{code, fmt.Sprintf(format, args...)}
}

// errPwHelp asks for the help.
var errPwHelp = errors.New("help")

// pwCommands are the commands, which may be written in any case.
var pwCommands = []string{"useradd", "usermod", "userdel", "passwd", "show", "list", "mkdb"}

func runPwDoor(ctx context.Context, e *env, c *doorCall) int {
	j := &pwJob{env: e, doorCall: c, ctx: ctx}
	err := j.parse()
	if err == nil {
		err = j.act()
	}
	code := exitDone
	switch {
	case errors.Is(err, errPwHelp):
		c.writeHelp(e)
		return exitDone
	case err != nil:
		code = pwCode(err)
		j.tell(err.Error())
	}
	changes := slices.Contains([]string{"useradd", "usermod", "userdel", "passwd"}, j.command)
	if j.commit && changes && j.text != "" && code != exitPwArgument {
		// As there, this is done also where the action failed, and the codes put together.
		if err := j.mkdb(); err != nil {
			code |= pwCode(err)
			j.tell(err.Error())
		}
	}
	return code
}

func pwCode(err error) int {
	if fault, ok := errors.AsType[*pwFault](err); ok {
		return fault.code
	}
	return exitPwOther
}

// tell prints lines to standard error.
func (j *pwJob) tell(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		j.doorCall.say(j.env, "%s", line)
	}
}

func (j *pwJob) parse() error {
	if len(j.args) == 0 {
		return errPwHelp
	}
	j.command = strings.ToLower(j.args[0])
	if !slices.Contains(pwCommands, j.command) {
		return errPwHelp
	}
	said, words, err := getopt(j.options(), j.args[1:])
	if err != nil {
		j.complain(j.env, err)
		return errPwHelp
	}
	j.words = words
	if len(words) > 0 {
		j.login = strings.ReplaceAll(words[0], ":", "_")
	}
	j.text = j.getenv("PURE_PASSWDFILE")
	j.to = j.getenv("PURE_DBFILE")
	for _, s := range said {
		switch {
		case s.letter == 'h':
			return errPwHelp
		case s.letter == 'f':
			j.text = s.text
		case s.letter == 'F':
			j.to = s.text
		case s.letter == 'm':
			j.commit = true
		case s.long == "puredb":
			j.puredb = true
		default:
			if err := j.edit.take(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *pwJob) act() error {
	switch j.command {
	case "mkdb":
		if len(j.words) > 0 {
			j.to = j.words[0]
		}
		return j.mkdb()
	case "list":
		if j.text == "" {
			return j.listDB()
		}
		return j.listText()
	}
	if j.login == "" {
		if j.command == "userdel" {
			return pwFaultf(exitPwOther, "Missing login")
		}
		return pwFaultf(exitPwArgument, "Missing login")
	}
	if j.text == "" {
		return j.actDB()
	}
	return j.actText()
}

// complete refuses a new user that lacks what there is no default for.
func (j *pwJob) complete() error {
	switch ed := &j.edit; {
	case ed.uid == 0 || ed.gid == 0:
		return pwFaultf(exitPwID, "You must give (non-root) uid and gid")
	case ed.home == "":
		return pwFaultf(exitPwHome, "Missing home directory")
	}
	if err := userdb.ValidName(j.login); err != nil {
		return pwFaultf(exitPwArgument, "%v", err)
	}
	return nil
}

// hash asks for a password twice, as pure-pw does, and hashes it.
func (j *pwJob) hash() (string, error) {
	read := j.promptLine(lineReader(j.ctx, j.in))
	if f, ok := j.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		read = func(prompt string) (string, error) { return typed(j.ctx, f, j.out, prompt) }
	}
	failed := pwFaultf(exitPwPassword, "Error with entering password - aborting")
	for range passwordTries {
		first, err := read("Password: ")
		if err != nil {
			return "", failed
		}
		again, err := read("Enter it again: ")
		switch {
		case err != nil:
			return "", failed
		case first != again:
			fmt.Fprintln(j.out, "You didn't enter the same password")
			continue
		case first == "" || userdb.ValidPassword(first) != nil:
			return "", failed
		}
		return userdb.Hash(first, userdb.Cost(server.DefaultConfig().PasswordCost))
	}
	return "", failed
}

// promptLine prints a prompt for who is not at a terminal, too, and ends its line
// when there was an answer.
func (j *pwJob) promptLine(read func(string) (string, error)) func(string) (string, error) {
	return func(prompt string) (string, error) {
		fmt.Fprint(j.out, prompt)
		line, err := read(prompt)
		if err == nil {
			fmt.Fprintln(j.out)
		}
		return line, err
	}
}

// actText changes or shows a user of the text.
func (j *pwJob) actText() error {
	f := purepw.At(j.text)
	switch j.command {
	case "useradd":
		return j.useraddText(f)
	case "userdel":
		err := f.Edit(j.login, false, func(there bool, _ *purepw.Entry) (*purepw.Entry, error) {
			if !there {
				return nil, purepw.ErrNoUser
			}
			return nil, nil
		})
		return j.conflict(err, "already exists")
	}
	hash := ""
	if j.command == "passwd" { // which asks before it looks
		var err error
		if hash, err = j.hash(); err != nil {
			return err
		}
	}
	was, err := f.Find(j.login, j.warn)
	if err != nil {
		return j.unknown(err)
	}
	if j.command == "show" {
		return j.show(shownEntry(&was))
	}
	if err := j.edit.textual(); err != nil {
		return err
	}
	err = f.Edit(j.login, false, func(_ bool, now *purepw.Entry) (*purepw.Entry, error) {
		if now == nil { // it was removed meanwhile
			return nil, purepw.ErrNoUser
		}
		if j.command == "passwd" {
			now.Password = hash
			return now, nil
		}
		j.edit.applyText(now)
		return now, nil
	})
	return j.conflict(err, "already exists")
}

func (j *pwJob) useraddText(f purepw.File) error {
	if err := j.complete(); err != nil {
		return err
	}
	if err := j.edit.textual(); err != nil {
		return err
	}
	hash, err := j.hash()
	if err != nil {
		return err
	}
	err = f.Edit(j.login, true, func(there bool, _ *purepw.Entry) (*purepw.Entry, error) {
		if there {
			return nil, userdb.ErrUserExists
		}
		e := purepw.New(j.login)
		e.Password = hash
		j.edit.applyText(&e)
		return &e, nil
	})
	return j.conflict(err, "doesn't already exist")
}

// conflict tells of an edit that came to nothing in pure-pw's words.
func (j *pwJob) conflict(err error, should string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, purepw.ErrNoUser), errors.Is(err, userdb.ErrUserExists), errors.Is(err, userdb.ErrNoUser),
		errors.Is(err, fs.ErrNotExist), errors.Is(err, userdb.ErrNoDatabase):
		where := j.text
		if where == "" {
			where = j.db().Path()
		}
		return pwFaultf(exitPwConflict, "Error.\nCheck that [%s] %s,\nand that [%s] can be written.", j.login, should, where)
	}
	return pwFaultf(exitPwConflict, "Error: %v", err)
}

// unknown tells that there is no user to be shown or changed.
func (j *pwJob) unknown(err error) error {
	where := j.text
	if where == "" {
		where = j.db().Path()
	}
	text := fmt.Sprintf("Unable to fetch info about user [%s] in file [%s]", j.login, where)
	switch {
	case errors.Is(err, purepw.ErrNoUser), errors.Is(err, userdb.ErrNoUser):
	case errors.Is(err, fs.ErrNotExist):
		text = "Unable to open the passwd file: No such file or directory\n" + text
	default:
		text = err.Error() + "\n" + text
	}
	return pwFaultf(exitPwNoUser, "%s", text)
}

// warn tells of a line that is no user's, by its beginning: a hash may follow.
func (j *pwJob) warn(line string) {
	name, _, _ := strings.Cut(line, ":")
	j.tell(fmt.Sprintf("Warning: invalid line [%s]", name))
}
