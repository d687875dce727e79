// Package server speaks FTP to its clients.
//
// A [Server] accepts control connections; each is a session, which one goroutine
// owns. The session reads a line, finds its row in the table of commands, runs
// it, and writes its reply: one place reads, one writes. A command that moves
// data prepares a transfer, which runs on a goroutine of its own and hands its
// result back; meanwhile the session hears ABOR and STAT, and keeps the rest.
//
// Who owns what:
//
//	the fields of a session, and its replies    the goroutine in serve
//	data connection and open file               the transfer's goroutine
//	a transfer's counters                       the transfer's goroutine; others read them from the registry
//	the configuration                           nobody: it is a value, replaced as a whole by Configure
//	who is connected                            the registry of package session
//
// It follows RFC 959 and 1123, 2389 (FEAT, OPTS), 2428 (EPRT, EPSV), 2577
// (security), 2640 (UTF-8), and 3659 (MDTM, SIZE, REST, MLST, MLSD), and the
// practice of clients where that says more. Deviations, each for a reason:
//
//	CDUP is answered 250, as CWD is (RFC 959, appendix II), not 200.
//	A data connection is used once; PASV or PORT comes before each transfer.
//	The default data port is not used: without PASV or PORT it is 425.
//	MODE B and C, STRU R and P, EBCDIC and the record types are refused.
package server
