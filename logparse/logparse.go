// Package logparse turns a line of an FTP server's log into an entry and back.
//
// A format is a row of [Formats]: its name, how a line is read, how an entry is
// written, and what it has room for. Reading and writing are each other's
// inverse:
//
//   - A line that was read and is written again in its format is the same line,
//     byte for byte. What a line has that is no part of the entry, such as how
//     the day is padded, is kept in [Style]. JSON is read with more tolerance
//     than it is written: keys may come in any order, and new ones. That of
//     systemd's journal is written as journalctl shows it in lines.
//   - An entry that was written and is read again is the same entry, but for what
//     the format has no room for ([Format.Says]) and for characters in names that
//     it replaces.
//
// Whoever reads a log uses a [Reader], which takes any size of log in the same
// memory, reports what cannot be read by its line number, and goes on:
//
//	r := logparse.NewReader(file, logparse.Format{}) // finds out which format it is
//	for e, err := range r.All() {
//		...
//	}
//
// # Times
//
// xferlog, vsftpd's log and syslog have no time zone; [Parser.Zone] names it. In
// the hour that comes twice in autumn a line is taken to be of the first pass
// until the lines run backwards. An hour that the clocks skip in spring is read as
// if they had not been changed yet. A format without zones writes the clock of
// [Entry.Time]'s location, so who converts a log puts it where the reader of the
// new one expects it.
//
// # Names
//
// Names of files and users are bytes, whatever they hold. A user may be called
// anything, also what looks like the rest of the line; each format says where
// then is the one place from which it is read right. Where no reader can be sure,
// [Style.Ambiguous] tells.
package logparse

import "time"

// An Entry is one thing that happened: a transfer, or something else that a log
// tells of. What a format does not say is zero.
type Entry struct {
	Time      time.Time // when it was over
	Event     Event
	Direction Direction // of a transfer
	Status    Status
	Took      time.Duration
	Bytes     int64 // moved in this transfer, which may be a part of the file; of what was deleted, its size

	Host    string // the client's address or name; "" is unknown
	User    string // "" is unknown
	Path    string // on the host, but for logs of commands: there it is what the client sent
	To      string // what was renamed is called now
	Session string // what one session has in common; of stats and ours its start and its number, in hexadecimal, with a dot between
	PID     int    // of the process that served it

	// What only a few formats say.
	Offset              int64   // where in the file the transfer began
	Size                int64   // of the file afterwards
	Rate                float64 // bytes a second, as the server measured it; see Speed
	TLS                 string  // version, as in TLSv1.3; "" is none
	Cipher              string
	DataTLS, DataCipher string // of the data connection
	Client              string // the software at the other end, as it called itself
	Reason              string // why it ended as it did, or why it is doubted
	Command             string // the verb, if the log has it
	Code                int    // of the reply
	Text                string // the rest of a command or the text of a message; of a change of permissions, those; of an anonymous login, the password, an address of mail
	Level               Level  // 0 is what the event has in general

	Xfer  Xfer
	Style Style
}

// Speed is the rate of a transfer in bytes a second, 0 if nothing tells.
func (e *Entry) Speed() float64 {
	if e.Rate > 0 || e.Took <= 0 {
		return e.Rate
	}
	return float64(e.Bytes) / e.Took.Seconds()
}

// Xfer is what xferlog has beyond the others.
type Xfer struct {
	ASCII   bool
	Flags   string // C, U and T: the file was compressed, uncompressed or tarred on its way; "" is none
	Mode    byte   // r, a or g: a real user, anonymous, a guest; 0 is r
	Service string // "" is ftp
	Group   string // glftpd has it instead of the service
	Auth    byte   // 1 if the client's host was asked who it is, else 0; 0 is what the dialect has
	Ident   string // what that said; "" is nothing
}

// Style is how the line was written from which an entry was read. Its format
// writes it so again; the others have their own ways and do not look.
type Style struct {
	Format    string // by name
	Ambiguous bool   // the line can be read in more than one way
	Short     bool   // of xferlog: without a status; of a log of commands: without the bytes
	Zero      bool   // of a log of commands: the code is 0, and not none
	Day       byte   // how a day below 10 is padded: 0 or a blank or, with -, not
	Weekday   string // what the line has instead of the right one
	Syslog    Syslog
}

// Syslog is what stands before the message.
type Syslog struct {
	Priority int    // facility and level, plus one; 0 if it is not there
	Stamp    byte   // how the time is written: a row of stamps, by its letter
	Machine  string // "" if it is not there
	Tag      string // the program
	Bare     bool   // the message does not say of whom
}

// An Event is a kind of entry.
type Event uint8

// What happens.
const (
	Transfer Event = iota
	Delete
	Rename
	Mkdir
	Rmdir
	Chmod
	Connect
	Login
	Logout
	TLS
	Command // one that is none of the above, or its reply
	Reply
	Message // anything else, as it stands
)

// allEvents are those that there are.
var allEvents = []Event{Transfer, Delete, Rename, Mkdir, Rmdir, Chmod, Connect, Login, Logout, TLS, Command, Reply, Message}

// Events is a set of them.
type Events uint32

// Has tells whether an event is in the set.
func (s Events) Has(e Event) bool { return s&(1<<e) != 0 }

func events(list ...Event) (s Events) {
	for _, e := range list {
		s |= 1 << e
	}
	return s
}

// A Direction is where a file went; its letters are those of xferlog.
type Direction byte

// The directions.
const (
	Upload   Direction = 'i'
	Download Direction = 'o'
)

// A Status tells how something ended.
type Status byte

// The ends.
const (
	Unknown Status = iota // the format does not say
	Whole
	Cut      // a part of the file was moved
	Failed   // nothing came of it
	Doubtful // all that came was taken, and it cannot be told whether it was all: see Reason
)

// A Level is how much a message matters, as in syslog.
type Level uint8

// The levels; the number of syslog is one less.
const (
	Emergency Level = iota + 1
	Alert
	Critical
	Error
	Warning
	Notice
	Info
	Debug
)

// Fields is a set of what an entry has beyond its time to the second.
type Fields uint32

// What a format may say.
const (
	SaysDirection Fields = 1 << iota
	SaysStatus           // whether a transfer came to its end
	SaysDoubt            // and whether that is sure
	SaysTook             // to the second
	SaysExactly          // time and duration below the second
	SaysZone             // or that it is UTC
	SaysBytes
	SaysHost
	SaysUser
	SaysPath
	SaysTo
	SaysSession
	SaysPID
	SaysOffset
	SaysSize
	SaysRate
	SaysTLS
	SaysClient
	SaysReason
	SaysCommand
	SaysCode
	SaysText
	SaysLevel
	SaysASCII
	SaysMode
	SaysXfer // flags, service, auth and ident of xferlog
)

const (
	saysTransfer = SaysDirection | SaysBytes | SaysHost | SaysUser | SaysPath
	saysXferlog  = saysTransfer | SaysStatus | SaysTook | SaysASCII | SaysMode | SaysXfer
)

// A Format is a way to write down what happens, one thing a line.
type Format struct {
	Name   string
	Help   string
	Events Events // that there are lines for
	Says   Fields
	Header func(at time.Time) string // of a new file; nil: none

	parse  func(p *Parser, line string, e *Entry) error
	append func(line []byte, e *Entry) []byte
}

// Formats are those that are read and written. Where a line is of two, the first
// is believed.
var Formats = []Format{
	{"json", "ours: one object a line, which says everything", events(allEvents...), ^Fields(0), nil, parseJSON, appendJSON},
	{"clf", "what web servers write; the end of a broken transfer is 206 and not 200", events(Transfer, Delete),
		saysTransfer | SaysStatus | SaysZone, nil, parseCLF, appendCLF},
	{"stats", "Pure-FTPd's, for programs: with the session; it does not tell broken transfers", events(Transfer),
		saysTransfer | SaysTook | SaysSession | SaysZone, nil, parseStats, appendStats},
	{"w3c", "W3C's extended format, in UTC; a broken transfer is 426 and not 226", events(Transfer),
		saysTransfer | SaysStatus | SaysZone, headW3C, parseW3C, appendW3C},
	dialect{name: "xferlog", help: "wu-ftpd's, which most FTP servers write and most tools read; blanks in any name are _",
		day: '0', auth: '0', blank: '_', control: '_', deletes: true}.format(),
	dialect{name: "xferlog-glftpd", help: "xferlog as glftpd writes it: with the group, without a status, and ? for a blank",
		day: ' ', auth: '0', blank: '?', control: '?', group: true}.format(),
	dialect{name: "xferlog-proftpd", help: "xferlog as ProFTPD writes it: blanks in the names of users stay",
		day: '0', auth: '0', blank: '_', control: '_', deletes: true, floor: true, raw: true, rawMail: true}.format(),
	dialect{name: "xferlog-pure-ftpd", help: "xferlog as Pure-FTPd writes it: every transfer is complete and every user real",
		day: '0', auth: '1', blank: '_', control: '_', complete: true, raw: true}.format(),
	dialect{name: "xferlog-vsftpd", help: "xferlog as vsftpd writes it: names are ASCII, and nothing takes less than a second",
		day: ' ', auth: '0', blank: '_', control: '?', ascii: true, least: 1, floor: true}.format(),
	dialect{name: "xferlog-wu-ftpd", help: "xferlog as wu-ftpd writes it: nothing takes less than a second",
		day: ' ', auth: '0', blank: '_', control: '_', least: 1, floor: true, raw: true}.format(),
	{"vsftpd", "vsftpd's own: logins, failures and what happened to files, too",
		events(Transfer, Delete, Rename, Mkdir, Rmdir, Chmod, Connect, Login, Command, Reply, Message),
		saysTransfer | SaysStatus | SaysTo | SaysPID | SaysRate | SaysText, nil, parseVsftpd, appendVsftpd},
	{"extendedlog", "ProFTPD's log of commands, as it is unless told otherwise",
		events(Transfer, Delete, Rename, Mkdir, Rmdir, Chmod, Login, Command), saysTransfer | SaysStatus | SaysTo | SaysZone | SaysCommand | SaysCode | SaysText,
		nil, parseExtended, appendExtended},
	{"syslog", "what Pure-FTPd, and vsftpd, tell the system's log, and what journalctl prints of it, in JSON or lines", events(Transfer, Delete, Rename, Mkdir, Rmdir, Connect, Login, Logout, TLS, Command, Message),
		saysTransfer | SaysStatus | SaysTo | SaysPID | SaysRate | SaysTLS | SaysReason | SaysCommand | SaysText | SaysLevel, nil, parseSyslog, appendSyslog},
}

// Find returns the format of that name.
func Find(name string) (Format, bool) {
	for _, f := range Formats {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}

// Names returns the names of all formats.
func Names() []string {
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = f.Name
	}
	return names
}

// Parse reads one line, without its end, as a [Parser] does that knows nothing of
// the lines before it and is where we are.
func (f Format) Parse(line string) (Entry, error) {
	var p Parser
	var e Entry
	err := p.Parse(&f, line, &e)
	return e, err
}

// Append adds the line of an entry, with its end. It adds nothing if the format
// has no lines for such an event, unless it was read from one.
func (f Format) Append(line []byte, e Entry) []byte { return f.AppendEntry(line, &e) }

// AppendEntry is Append for who has many.
func (f *Format) AppendEntry(line []byte, e *Entry) []byte {
	if !f.Events.Has(e.Event) && e.Style.Format != f.Name {
		return line
	}
	before := len(line)
	if line = f.append(line, e); len(line) == before {
		return line
	}
	return append(line, '\n')
}
