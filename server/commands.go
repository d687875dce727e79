package server

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// A command is one row of the FTP commands: what it is called, when it may be
// said, what it answers to FEAT and HELP, and what runs it.
type command struct {
	name string // "RETR", "SITE CHMOD"
	also []string
	arg  arity
	need need
	on   func(*Config) bool    // whether it is offered; nil if it always is
	feat func(*session) string // its line in FEAT; nil or "" if it has none
	rfc  string
	help string // the argument, then " - " and what it does
	run  func(*session, context.Context, string) (reply, error)

	at int // in commands
}

// An arity tells what may follow the name. A path keeps every blank but the one
// that parts it from the name (RFC 3659, section 2.2); a word is trimmed.
type arity int

const (
	noArg arity = iota // anything is ignored
	aWord              // one is needed
	maybeWord
	aPath
	maybePath
)

// A need is when a command may be said, and how.
type need int

const (
	preAuth   need = 1 << iota // before login
	during                     // while a file moves, at once, if it stands alone
	ends                       // while a file moves: ends that
	leaves                     // while a file moves: what comes after it is no loss, not even the end of the connection
	quiet                      // does not make a session less idle
	secret                     // its argument is in no log
	creates                    // its path need not exist: a bad one is 553, not 550
	opensData                  // moves data: 425 unless a data connection was prepared, 521 if in clear where it may not be
	marks                      // chooses a part for the next transfer: one chosen before is gone, also if this fails
	grave                      // that it fails is for every log
	nests                      // its argument is another row, or in no log
	reveals                    // says who the client is: not in clear where TLS is demanded
)

// explained is the help in the client's language: what the argument looks like is
// the same in all.
func (c *command) explained() phrase {
	syntax, what, _ := strings.Cut(c.help, "- ")
	return phrase{format: "%s- %s", args: []any{syntax, phrase{format: what}}, verbatim: true}
}

// says is a line of FEAT that does not depend on the session.
func says(line string) func(*session) string {
	return func(*session) string { return line }
}

// commands is filled by init, since some of its rows read it.
var (
	commands []command
	byName   map[string]*command
)

func init() { //nolint:funlen // a table is as long as what it lists
	commands = []command{
		{name: "ABOR", arg: noArg, need: ends, rfc: "959 4.1.3", run: (*session).cmdABOR,
			help: "- end the transfer"},
		{name: "ACCT", arg: aWord, need: preAuth | secret | reveals, rfc: "959 4.1.1", run: (*session).cmdACCT,
			help: "<account> - not needed here"},
		{name: "ADAT", arg: aWord, need: preAuth | secret, on: usesTLS, rfc: "2228 3", run: (*session).cmdADAT,
			help: "<data> - not needed with TLS"},
		{name: "ALLO", arg: aWord, rfc: "959 4.1.3", run: (*session).cmdALLO,
			help: "<bytes> [R <bytes>] - ask whether there is room"},
		{name: "APPE", arg: aPath, need: creates | opensData | grave, rfc: "959 4.1.3", run: (*session).cmdAPPE,
			help: "<path> - add to the end of a file"},
		{name: "AUTH", arg: aWord, need: preAuth, on: usesTLS, feat: says("AUTH TLS"), rfc: "2228 3, 4217 4", run: (*session).cmdAUTH,
			help: "TLS - protect the control connection"},
		{name: "AVBL", arg: maybePath, feat: says("AVBL"), rfc: "draft-peterson-streamlined-ftp-command-extensions", run: (*session).cmdAVBL,
			help: "[<path>] - tell how many bytes there is room for"},
		{name: "CCC", arg: noArg, need: preAuth, on: usesTLS, rfc: "2228 3, 4217 12.3", run: (*session).cmdCCC,
			help: "- go back to a control connection in clear"},
		{name: "CDUP", also: []string{"XCUP"}, arg: noArg, rfc: "959 4.1.1, 1123 4.1.3.1", run: (*session).cmdCDUP,
			help: "- go to the directory above"},
		{name: "CLNT", arg: aWord, need: preAuth, feat: says("CLNT"), rfc: "none", run: (*session).cmdCLNT,
			help: "<name> - say what client this is"},
		{name: "COMB", arg: aPath, need: creates, on: copies, feat: says("COMB"), rfc: "none", run: (*session).cmdCOMB,
			help: "<path> <part> <part>... - join files into one"},
		{name: "CONF", arg: maybePath, need: preAuth | secret, on: usesTLS, rfc: "2228 3", run: (*session).cmdMIC,
			help: "<data> - not needed with TLS"},
		{name: "CPSV", arg: noArg, on: securesFXP, feat: says("CPSV"), rfc: "none", run: (*session).cmdCPSV,
			help: "- as PASV, and the server begins TLS"},
		{name: "CSID", arg: aWord, need: preAuth, feat: says("CSID"), rfc: "draft-peterson-streamlined-ftp-command-extensions", run: (*session).cmdCSID,
			help: "<name=value;> - say what client this is"},
		{name: "CWD", also: []string{"XCWD"}, arg: maybePath, need: quiet, feat: says("TVFS"), rfc: "959 4.1.1", run: (*session).cmdCWD,
			help: "[<path>] - go to a directory, or home"},
		{name: "DELE", arg: aPath, rfc: "959 4.1.3", run: (*session).cmdDELE,
			help: "<path> - delete a file"},
		{name: "ENC", arg: maybePath, need: preAuth | secret, on: usesTLS, rfc: "2228 3", run: (*session).cmdMIC,
			help: "<data> - not needed with TLS"},
		{name: "EPRT", arg: aWord, on: activeMode, feat: says("EPRT"), rfc: "2428 2", run: (*session).cmdEPRT,
			help: "|<family>|<address>|<port>| - have the server connect for data"},
		{name: "EPSV", arg: maybeWord, on: passiveMode, feat: (*session).featEPSV, rfc: "2428 3", run: (*session).cmdEPSV,
			help: "[1|2|ALL] - connect to the server for data"},
		{name: "ESTA", arg: noArg, feat: says("ESTA"), rfc: "none", run: (*session).cmdESTA,
			help: "- have the server connect for data now"},
		{name: "ESTP", arg: noArg, feat: says("ESTP"), rfc: "none", run: (*session).cmdESTP,
			help: "- wait for the data connection now"},
		{name: "FEAT", arg: noArg, need: preAuth, rfc: "2389 3", run: (*session).cmdFEAT,
			help: "- list extensions"},
		{name: "HASH", arg: aPath, feat: (*session).featHASH, rfc: "draft-bryan-ftpext-hash 3", run: (*session).cmdHASH,
			help: "<path> - tell the checksum of a file, or of the range that RANG chose"},
		{name: "HELP", arg: maybeWord, need: preAuth, rfc: "959 4.1.3", run: (*session).cmdHELP,
			help: "[<command>] - list commands, or explain one"},
		{name: "HOST", arg: aWord, need: preAuth, on: func(c *Config) bool { return len(c.VirtualHosts) > 0 }, feat: says("HOST"), rfc: "7151 3", run: (*session).cmdHOST,
			help: "<name> - say which host the client means"},
		{name: "LANG", arg: maybeWord, need: preAuth | quiet, feat: (*session).featLANG, rfc: "2640 4", run: (*session).cmdLANG,
			help: "[<tag>] - choose the language of replies"},
		{name: "LIST", arg: maybePath, need: opensData, rfc: "959 4.1.3", run: (*session).cmdLIST,
			help: "[<options>] [<path>] - list a directory as ls -l does"},
		{name: "MDTM", arg: aPath, feat: says("MDTM"), rfc: "3659 3", run: (*session).cmdMDTM,
			help: "<path> - tell when a file was changed"},
		{name: "MFF", arg: aPath, feat: says(featMFF), rfc: "draft-somers-ftp-mfxx 5", run: (*session).cmdMFF,
			help: "<fact=value;> <path> - set when a file was changed, its permissions, its group"},
		{name: "MFMT", arg: aPath, feat: says("MFMT"), rfc: "draft-somers-ftp-mfxx 3", run: (*session).cmdMFMT,
			help: "<YYYYMMDDhhmmss> <path> - set when a file was changed"},
		{name: "MIC", arg: maybePath, need: preAuth | secret, on: usesTLS, rfc: "2228 3", run: (*session).cmdMIC,
			help: "<data> - not needed with TLS"},
		{name: "MKD", also: []string{"XMKD"}, arg: aPath, need: creates | grave, rfc: "959 4.1.3", run: (*session).cmdMKD,
			help: "<path> - make a directory"},
		{name: "MLSD", arg: maybePath, need: opensData, rfc: "3659 7", run: (*session).cmdMLSD,
			help: "[<path>] - list a directory for programs"},
		{name: "MLST", arg: maybePath, feat: (*session).featMLST, rfc: "3659 7", run: (*session).cmdMLST,
			help: "[<path>] - tell the facts of a file"},
		{name: "MODE", arg: aWord, need: preAuth | quiet, feat: (*session).featMODE, rfc: "959 3.4", run: (*session).cmdMODE,
			help: "S|Z - send as it is, or compressed where that is offered"},
		{name: "NLST", arg: maybePath, need: opensData, rfc: "959 4.1.3", run: (*session).cmdNLST,
			help: "[<options>] [<path>] - list names"},
		{name: "NOOP", arg: noArg, need: preAuth | quiet, rfc: "959 4.1.3", run: (*session).cmdNOOP,
			help: "- do nothing"},
		{name: "OPTS", arg: aWord, need: preAuth, feat: says("UTF8"), rfc: "2389 4", run: (*session).cmdOPTS,
			help: "UTF8|MLST [<value>] - choose how to be answered"},
		{name: "PASS", arg: maybePath, need: preAuth | secret | reveals, rfc: "959 4.1.1", run: (*session).cmdPASS,
			help: "<password> - log in"},
		{name: "PASV", also: []string{"P@SW"}, arg: noArg, on: passiveMode, feat: says("PASV"), rfc: "959 4.1.2", run: (*session).cmdPASV,
			help: "- connect to the server for data"},
		{name: "PBSZ", arg: aWord, need: preAuth, on: usesTLS, feat: says("PBSZ"), rfc: "2228 3, 4217 8", run: (*session).cmdPBSZ,
			help: "<bytes> - comes before PROT"},
		{name: "PORT", arg: aWord, on: activeMode, rfc: "959 4.1.2", run: (*session).cmdPORT,
			help: "<h1,h2,h3,h4,p1,p2> - have the server connect for data"},
		{name: "PRET", arg: aPath, feat: says("PRET"), rfc: "none", run: (*session).cmdPRET,
			help: "<command> [<path>] - ask what a transfer would say"},
		{name: "PROT", arg: aWord, need: preAuth, on: usesTLS, feat: says("PROT"), rfc: "2228 3, 4217 9", run: (*session).cmdPROT,
			help: "C|P - leave data in clear, or protect it"},
		{name: "PWD", also: []string{"XPWD"}, arg: noArg, need: quiet, rfc: "959 4.1.3", run: (*session).cmdPWD,
			help: "- tell the directory"},
		{name: "QUIT", arg: noArg, need: preAuth | leaves, rfc: "959 4.1.1", run: (*session).cmdQUIT,
			help: "- end the session"},
		{name: "RANG", arg: aWord, need: quiet | marks, feat: says("RANG STREAM"), rfc: "draft-bryan-ftp-range", run: (*session).cmdRANG,
			help: "<first> <last> - choose the bytes of the next transfer"},
		{name: "REIN", arg: noArg, need: preAuth, rfc: "959 4.1.1", run: (*session).cmdREIN,
			help: "- log out, but stay connected"},
		{name: "REST", arg: aWord, need: quiet | marks, feat: says("REST STREAM"), rfc: "3659 5", run: (*session).cmdREST,
			help: "<offset> - begin the next transfer there"},
		{name: "RETR", arg: aPath, need: opensData | grave, rfc: "959 4.1.3", run: (*session).cmdRETR,
			help: "<path> - send a file to the client"},
		{name: "RMD", also: []string{"XRMD"}, arg: aPath, need: grave, rfc: "959 4.1.3", run: (*session).cmdRMD,
			help: "<path> - remove an empty directory"},
		{name: "RNFR", arg: aPath, rfc: "959 4.1.3", run: (*session).cmdRNFR,
			help: "<path> - choose what to rename"},
		{name: "RNTO", arg: maybePath, need: creates | grave, rfc: "959 4.1.3", run: (*session).cmdRNTO,
			help: "<path> - rename to this"},
		{name: "SITE", arg: aPath, need: creates | nests, rfc: "959 4.1.3", run: (*session).cmdSITE,
			help: "<command> - what this server offers beyond the standard"},
		{name: "SITE ALIAS", arg: maybePath, on: hasAliases, rfc: "none", run: (*session).siteALIAS,
			help: "[<name>] - list other names of directories, or explain one"},
		{name: "SITE CHMOD", also: []string{"CHMOD"}, arg: aPath, rfc: "none", run: (*session).siteCHMOD,
			help: "<mode> <path> - set permissions"},
		{name: "SITE COPY", arg: aPath, need: creates, on: copies, feat: says("SITE COPY"), rfc: "none", run: (*session).siteCOPY,
			help: "<path> <path> - copy a file"},
		{name: "SITE CPFR", arg: aPath, on: copies, rfc: "none", run: (*session).siteCPFR,
			help: "<path> - choose what to copy"},
		{name: "SITE CPTO", arg: aPath, need: creates, on: copies, rfc: "none", run: (*session).siteCPTO,
			help: "<path> - copy to this"},
		{name: "SITE HELP", arg: maybeWord, rfc: "1123 4.1.2.8", run: (*session).siteHELP,
			help: "- list SITE commands"},
		{name: "SITE IDLE", arg: maybeWord, rfc: "none", run: (*session).siteIDLE,
			help: "[<seconds>] - tell or set how long the session may be idle"},
		{name: "SITE MKDIR", arg: aPath, need: creates, rfc: "none", run: (*session).siteMKDIR,
			help: "<path> - make a directory"},
		{name: "SITE RMDIR", arg: aPath, rfc: "none", run: (*session).siteRMDIR,
			help: "<path> - remove an empty directory"},
		{name: "SITE SYMLINK", arg: aPath, need: creates, on: func(c *Config) bool { return c.Symlinks }, feat: says("SITE SYMLINK"), rfc: "none", run: (*session).siteSYMLINK,
			help: "<target> <path> - make a symbolic link"},
		{name: "SITE TIME", arg: noArg, rfc: "none", run: (*session).siteTIME,
			help: "- tell the time here"},
		{name: "SITE UMASK", arg: maybeWord, rfc: "none", run: (*session).siteUMASK,
			help: "[<mask>] - tell or set what permissions new files do not get"},
		{name: "SITE UTIME", arg: aPath, feat: says("SITE UTIME"), rfc: "none", run: (*session).siteUTIME,
			help: "<YYYYMMDDhhmm[ss]> <path> - set when a file was changed"},
		{name: "SITE WHOAMI", arg: noArg, rfc: "none", run: (*session).siteWHOAMI,
			help: "- tell who is logged in"},
		{name: "SIZE", arg: aPath, feat: says("SIZE"), rfc: "3659 4", run: (*session).cmdSIZE,
			help: "<path> - tell how long a file is"},
		{name: "SSCN", arg: maybeWord, on: securesFXP, feat: says("SSCN"), rfc: "none", run: (*session).cmdSSCN,
			help: "[ON|OFF] - tell or set whether the server begins TLS for data"},
		{name: "STAT", arg: maybePath, need: during, rfc: "959 4.1.3", run: (*session).cmdSTAT,
			help: "[<path>] - tell the state of things, or list on this connection"},
		{name: "STOR", arg: aPath, need: creates | opensData | grave, rfc: "959 4.1.3", run: (*session).cmdSTOR,
			help: "<path> - store a file"},
		{name: "STOU", arg: maybePath, need: creates | opensData | grave, rfc: "959 4.1.3, 1123 4.1.2.9", run: (*session).cmdSTOU,
			help: "[<name>] - store a file under a name of its own"},
		{name: "STRU", arg: aWord, need: preAuth | quiet, rfc: "959 3.1.2", run: (*session).cmdSTRU,
			help: "F - file, the only structure"},
		{name: "SYST", arg: noArg, need: preAuth | quiet, rfc: "959 4.1.3", run: (*session).cmdSYST,
			help: "- tell the system"},
		{name: "TYPE", arg: aWord, need: preAuth | quiet, rfc: "959 3.1.1", run: (*session).cmdTYPE,
			help: "A|I|L 8 - choose text or binary"},
		{name: "USER", arg: aPath, need: preAuth | reveals, rfc: "959 4.1.1", run: (*session).cmdUSER,
			help: "<name> - say who logs in"},
		{name: "XCRC", arg: aPath, feat: says("XCRC"), rfc: "none", run: xhash("XCRC", "CRC32"),
			help: "<path> [<first> <end>] - tell the CRC32 checksum of a file"},
		{name: "XMD5", arg: aPath, feat: says("XMD5"), rfc: "none", run: xhash("XMD5", "MD5"),
			help: "<path> [<first> <end>] - tell the MD5 checksum of a file"},
		{name: "XSHA", arg: aPath, feat: says("XSHA"), rfc: "none", run: xhash("XSHA", "SHA-1"),
			help: "<path> [<first> <end>] - tell the SHA-1 checksum of a file"},
		{name: "XSHA1", arg: aPath, feat: says("XSHA1"), rfc: "none", run: xhash("XSHA1", "SHA-1"),
			help: "<path> [<first> <end>] - tell the SHA-1 checksum of a file"},
		{name: "XSHA256", arg: aPath, feat: says("XSHA256"), rfc: "none", run: xhash("XSHA256", "SHA-256"),
			help: "<path> [<first> <end>] - tell the SHA-256 checksum of a file"},
		{name: "XSHA512", arg: aPath, feat: says("XSHA512"), rfc: "none", run: xhash("XSHA512", "SHA-512"),
			help: "<path> [<first> <end>] - tell the SHA-512 checksum of a file"},
	}
	byName = make(map[string]*command)
	for i := range commands {
		commands[i].at = i
		byName[commands[i].name] = &commands[i]
		for _, name := range commands[i].also {
			byName[name] = &commands[i]
		}
	}
}

// notHere are commands of the standards that this server does not offer: they
// are 502, not the 500 of a word that no one has heard of.
var notHere = []string{
	"DSIZ",
	"LPRT",
	"LPSV",
	"MAIL",
	"MD5",
	"MFCT",
	"MMD5",
	"RMDA",
	"SMNT",
	"SPSV",
	"THMB",
}

// notFTP are the verbs of a browser that was led here; whoever says one is
// sent away before it can say more.
var notFTP = []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}

// offered tells whether the administrator lets a command be. One that is not is
// in neither FEAT nor HELP, and answered 502.
func (c *command) offered(cfg *Config) bool { return c.on == nil || c.on(cfg) }

func copies(cfg *Config) bool     { return cfg.ServerCopy }
func hasAliases(cfg *Config) bool { return len(cfg.DirAliases) > 0 }

// lookup returns the row of a verb in any case, nil if there is none.
func lookup(verb string) *command { return byName[strings.ToUpper(verb)] }

// dispatch finds the row of a line, decides whether it may run, and runs it.
// The row is nil if there is none.
func (s *session) dispatch(ctx context.Context, l line) (reply, *command) {
	if errors.Is(l.err, errLineLong) {
		return say(500, "Command line too long"), nil
	}
	verb, arg, _ := strings.Cut(l.text, " ")
	if !isVerb(verb) {
		return s.unheard(verb)
	}
	c := lookup(verb)
	if c == nil || strings.HasSuffix(l.text, " HTTP/1.1") || strings.HasSuffix(l.text, " HTTP/1.0") {
		return s.unheard(verb)
	}
	if !c.offered(s.cfg) {
		return s.withheld(c.name, c.need&preAuth != 0), c
	}
	arg, refused := s.understand(c, arg)
	s.note(c, arg)
	s.observe(c)
	if l.err != nil {
		s.mark = marker{}
		return say(501, "NUL is not allowed"), c
	}
	if refused != nil && (s.account != nil || c.need&preAuth != 0) {
		s.mark = marker{}
		return *refused, c
	}
	r, err := s.run(ctx, c, arg)
	if err != nil {
		s.complain(c, arg, err)
		r = s.refusal(c, err)
	}
	s.done(c, r, err)
	return r, c
}

// complain logs a command that failed, and for everybody to see one that was to
// move a file or to change names.
func (s *session) complain(c *command, arg string, err error) {
	attrs := []any{"cmd", c.name, "err", err}
	if c.need&(secret|nests) == 0 {
		attrs = append(attrs, "path", arg)
	}
	if c.need&grave != 0 {
		s.log.Info(commandFailed, attrs...)
	} else {
		s.log.Debug(commandFailed, attrs...)
	}
}

// run judges a command in the order of RFC 959's reasons: may it be said now,
// is its argument there, and then what it says itself.
func (s *session) run(ctx context.Context, c *command, arg string) (reply, error) {
	if c.need&reveals != 0 && s.cfg.TLS >= 2 && !s.encrypted() {
		return say(530, "TLS is required here: AUTH TLS first"), nil
	}
	if s.account == nil && c.need&preAuth == 0 {
		return say(530, "Please log in with USER and PASS"), nil
	}
	if c.need&opensData != 0 {
		// A marker is for one transfer, also one that fails (RFC 3659, section 5.3).
		defer func() { s.mark = marker{} }()
	}
	if c.need&marks != 0 {
		s.mark = marker{}
	}
	if c.arg == aWord || c.arg == maybeWord {
		arg = strings.Trim(arg, " ")
	}
	if arg == "" && (c.arg == aWord || c.arg == aPath) {
		return sayf(501, "%s needs an argument: %s", c.name, c.explained()), nil
	}
	if c.need&opensData != 0 && s.mustProtect() && !s.protects() {
		return say(521, "Data must be protected here: PROT P first"), nil
	}
	return c.run(s, ctx, arg)
}

// refusal is replyFor, as this command words it: a name that cannot be is 553
// where it was to be made.
func (s *session) refusal(c *command, err error) reply {
	r := replyFor(err)
	if r.code == 553 && c.need&creates == 0 {
		r.code = 550
	}
	return r
}

// unheard answers what is no command.
func (s *session) unheard(verb string) (reply, *command) {
	verb = strings.ToUpper(verb)
	switch {
	case slices.Contains(notFTP, verb) || lookup(verb) != nil: // HTTP/1.1 behind a verb that we have
		s.log.Warn("client speaks HTTP")
		return say(421, "This is an FTP server"), nil
	case verb == "PROXY":
		s.log.Warn("client sends a PROXY header", "hint", "ProxyFrom names the proxies that may")
		return say(421, "This is an FTP server"), nil
	case slices.Contains(notHere, verb):
		return s.withheld(verb, verb == "AUTH" || verb == "ADAT"), nil
	}
	if len(verb) > longestVerb || !isVerb(verb) { // it may be a password
		verb = hidden
	}
	s.log.Debug("unknown command", "cmd", verb)
	return say(500, "Unknown command"), nil
}

// withheld answers a command that there is, but not here.
func (s *session) withheld(name string, preAuth bool) reply {
	if s.account == nil && !preAuth {
		return say(530, "Please log in with USER and PASS")
	}
	return sayf(502, "%s is not offered here", name)
}

// longestVerb is the most that RFC 959, section 5.3, lets a command have.
const longestVerb = 4

// hidden stands for what nobody is shown.
const hidden = "****"

// note puts a command into the registry and the log, without its secrets.
func (s *session) note(c *command, arg string) {
	shown := c.name
	switch {
	case arg == "":
	case c.need&secret != 0 || c.need&nests != 0 && !isRow(c.name, arg):
		shown += " " + hidden
	default:
		shown += " " + arg
	}
	s.entry.SetCommand(shown)
	if s.cfg.VerboseLog > 0 {
		s.log.Info("command", "cmd", shown)
	} else {
		s.log.Debug("command", "cmd", shown)
	}
}

// isRow tells whether an argument begins with what is a command within another.
func isRow(name, arg string) bool {
	word, _, _ := strings.Cut(arg, " ")
	return byName[name+" "+strings.ToUpper(word)] != nil
}

// isVerb tells whether a word can be a command at all.
func isVerb(word string) bool {
	if len(word) == 0 || len(word) > 16 {
		return false
	}
	for i := range len(word) {
		c := word[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		other := '0' <= word[i] && word[i] <= '9' || word[i] == '@'
		if !letter && (i == 0 || !other) {
			return false
		}
	}
	return true
}
