package main

// A divergence is something that the server does otherwise than Pure-FTPd. The
// manual is made of these, and a test sees that what shows each is there: functions,
// scripts (name.txtar) and the headings of transcripts, with semicolons between them.
type divergence struct{ what, shown string }

// construction stands for a test where something is just not there.
const construction = "by construction"

// A divergenceGroup is a heading of the manual.
type divergenceGroup struct {
	heading string
	list    []divergence
}

// serverDivergences are those of the server itself. Those of the other programs
// stand beside them.
func serverDivergences() []divergenceGroup {
	return []divergenceGroup{
		{"Starting and configuration", []divergence{
			{"A port that is taken ends it with code 252, and the process id of the server that has the port stays in its file. Pure-FTPd exits with 0 and removes that file.", "TestPortIsTaken"},
			{"Why it cannot start is printed to standard error, where Pure-FTPd writes to descriptor 0 and the system's log.", "TestPortIsTaken"},
			{"SIGHUP makes it read its configuration again. Pure-FTPd ends.", "TestReload"},
			{"It is not to be started by inetd: there is one process for all sessions.", construction},
			{"Which users log in without --login is the database of \"portreeve pw\", and not PAM or the system's users: --login unix lets those in.", "TestAuthentication"},
			{"A value that is none is refused. Pure-FTPd starts with \"-k 200\", \"-I x\", \"-c -5\" and \"-U 999\", and takes them for something else.", "TestValuesThatAreNone"},
			{"A list of ciphers that begins with a dash is refused where it says nothing. Pure-FTPd goes round in a loop that SIGTERM does not end.", "TestValuesThatAreNone"},
			{"Where a directive comes twice the last one counts, and a later no undoes a yes. In Pure-FTPd it undoes nothing, and of Bind, ForcePassiveIP and AltLog something of the first one counts; \"portreeve migrate\" heeds that.", "migrate.txtar"},
			{"In values of two numbers, such as those of Quota and PerUserLimits, a blank and a colon are the same, as in Debian's files. Pure-FTPd's own file takes one of them for each directive.", "migrate.txtar"},
		}},
		{"Logging in", []divergence{
			{"LDAP, MySQL, PostgreSQL and PAM are not built in. The first three are refused with a sentence that says so, and so is PAM where it is the only way to log in. Beside others it is passed over, since it keeps nobody out whom they let in. Pure-FTPd tells PAM the server's own name for the client's, so that rules about clients mean nothing there; a program of ExtAuth is told the client's address.", "config.txtar; TestExtAuth"},
			{"While the program of ExtAuth is away, a login is answered 421 and goes no further, since the program might refuse it. Pure-FTPd asks the next way to log in.", "TestExtAuth"},
			{"USER of anonymous is answered 331, and PASS 230, as clients expect of any user. Pure-FTPd answers 230 at once.", "T050 T173 anonymous may look and fetch, and store what is new"},
			{"With AnonymousOnly, and at other addresses than TrustedIP, names of users are refused. Pure-FTPd takes each of them for anonymous.", "AnonymousOnly lets no user in; TrustedIP lets users in at one address"},
			{"ChrootEveryone confines the members of TrustedGID too, whichever of the two comes last. In Pure-FTPd the last one counts.", "TestWhoIsCaged"},
			{"Hours, expiry and locks end a session that is under way, and changes to a user reach it within two seconds. Pure-FTPd looks at them when somebody logs in.", "TestBoundaries; TestRevoked; TestChangesApply"},
			{"Lists of addresses hold IPv6. In Pure-FTPd's file an address of IPv6 makes several fields of one: such a line is refused by an import, and an export leaves these addresses out and says so. Where nothing is left of a list of whom to allow, nobody is allowed there.", "TestPatterns; TestPurePwRefuses; migrate.txtar"},
			{"The names of users are UTF-8 without control characters, slashes, blanks at their ends or two dots in a row. An import refuses others.", "TestValidName"},
			{"At a login a hash that is cheaper than PasswordCost is made anew, as one of scrypt ($7$), which Pure-FTPd checks after an export too.", "TestMigrateAndBack"},
		}},
		{"Limits", []divergence{
			{"A rate is a user's, and its sessions share it; that of anonymous is each session's. In Pure-FTPd each session has the whole of it.", "TestSharedBandwidth"},
			{"An upload that a quota refuses leaves nothing behind, and the file that was there as it was. Pure-FTPd has made an empty file by then, or emptied the old one.", "a quota on files; files written in their place and over quota"},
			{"What a user has is kept in the database. A .ftpquota is read when that knows nothing yet, and is kept up to date with QuotaFile.", ".ftpquota is read at first; .ftpquota is kept up to date"},
		}},
		{"Files and transfers", []divergence{
			{"Uploads go to a hidden file until they are whole, as with NoTruncate, so that one which breaks off leaves the old file.", "T174 an upload is cut, and the old file stays"},
			{"A client that drops the data connection of a download is answered 426. Pure-FTPd says nothing after its 150.", "TestClientDropsDownload"},
			{"A client that goes while a passive port waits for it frees its place at once, and not when the time to be idle is over.", "TestClientGoesBeforeData"},
			{"An address of IPv6 in a reply to EPRT is written without a scope.", "TestNoScopeInReplies"},
			{"Logs of transfers tell those that broke off: 206 in CLF, 426 in W3C's format, i in that of xferlog. In Pure-FTPd's they look whole, as they still do in the format stats, which has no place for it. An upload that is refused, for its quota say, is in those that can tell it, and a file that is deleted in clf, xferlog and json.", "TestAltLog; TestLogsTellTheTruth"},
			{"The system's log has the paths of a renamed file from the root on, and that of a data connection's TLS nowhere; Pure-FTPd has the names as the client sent them, and a line for each connection.", "TestSystemLog"},
			{"ProhibitDotFilesRead keeps names that begin with a dot from LIST of such a folder, SIZE, MDTM and MLST too.", "TestDotRules"},
			{"A name with a control character is refused, unless ReplaceControls says to put _ in its place, as Pure-FTPd does.", "T026 a control byte in a name; T026 control bytes become _ if that is wished"},
		}},
		{"TLS", []divergence{
			{"A second AUTH TLS on a connection is refused. Pure-FTPd answers 234, and no handshake follows.", "T267 AUTH once"},
			{"Where pure-certd says action:fallback and the file cannot be read, the server's own certificate is shown. Pure-FTPd 1.0.50 closes the connection.", "TestExtCert"},
		}},
	}
}

// sentences returns what all groups say.
func sentences(groups []divergenceGroup) []string {
	var all []string
	for _, g := range groups {
		for _, d := range g.list {
			all = append(all, d.what)
		}
	}
	return all
}
