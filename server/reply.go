package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"portreeve/server/charset"
	registry "portreeve/server/session"
	"portreeve/server/vfs"
)

// A reply is what a handler answers. Its text is for the client: it never
// carries a path of the host or an error of the operating system.
type reply struct {
	code  int
	text  phrase
	lines []phrase // before the last line
	prose bool     // these lines are for people: each is sent behind the code, and not behind a blank

	then func(context.Context) error // done once it is sent; an error ends the session
}

// say and sayf make a reply of one line that every session gets in its own
// language; fixed one that is the same in all, since programs read it.
func say(code int, text string) reply { return reply{code: code, text: phrase{format: text}} }

func sayf(code int, format string, args ...any) reply {
	return reply{code: code, text: phrasef(format, args...)}
}

func fixed(code int, format string, args ...any) reply {
	return reply{code: code, text: verbatim(fmt.Sprintf(format, args...))}
}

// failure is an error that already knows its reply.
type failure struct {
	reply reply
	cause error // for the log; nil if there is nothing to add
}

func (f *failure) Error() string {
	if f.cause != nil {
		return f.cause.Error()
	}
	return fmt.Sprint(f.reply.code, " ", f.reply.text)
}

func (f *failure) Unwrap() error { return f.cause }

// Why a transfer ended before its end.
var (
	errAborted  = errors.New("aborted by the client")
	errEnded    = errors.New("transfer ended by the operator")
	errStalled  = errors.New("no data for too long")
	errTooLong  = errors.New("transfer took too long")
	errLost     = errors.New("control connection lost")
	errShrunk   = errors.New("file became shorter while it was sent")
	errNoData   = errors.New("no data connection")
	errQueue    = errors.New("too many commands during a transfer")
	errRange    = errors.New("more data than the range has room for")
	errTooLarge = errors.New("file would be larger than is allowed")
)

// replyFor maps an error to its reply; it is the only place that does. What it
// does not know is a fault of ours and says nothing.
func replyFor(err error) reply {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.reply
	}
	if _, ok := errors.AsType[registry.Kicked](err); ok {
		err = errEnded
	}
	for _, row := range replies {
		if errors.Is(err, row.err) {
			return say(row.code, row.text)
		}
	}
	if _, ok := errors.AsType[*net.OpError](err); ok { // an alert of TLS, or a record that is none
		return say(426, "Data connection broken")
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return say(550, "Not possible")
	}
	return say(451, "Local error")
}

// replies tells the code of each error, the first that fits. Reasons are as
// the field knows them; RFC 959, section 4.2.
var replies = []struct {
	err  error
	code int
	text string
}{
	{vfs.ErrName, 553, "File name not allowed"},
	{vfs.ErrOffset, 554, "Restart offset is behind the end of the file"},
	{vfs.ErrUnapproved, 550, "Uploaded by an anonymous user, and not approved yet"},
	{vfs.ErrIsDir, 550, "Is a directory"},
	{vfs.ErrNotRegular, 550, "Not a regular file"},
	{errDataTLS, 522, "TLS failed on the data connection"},
	{errUnbound, 522, "TLS session reuse required on data connections"},
	{errTruncated, 426, "The data connection ended before its TLS did: taken for cut short"},
	{errAborted, 426, "Transfer aborted"},
	{errEnded, 426, "Transfer ended by the operator"},
	{errStalled, 426, "Transfer ended: no data for too long"},
	{errTooLong, 426, "Transfer ended: it took too long"},
	{errRevoked, 426, "Transfer aborted"},
	{errShutdown, 426, "Transfer ended: the server is shutting down"},
	{errQueue, 426, "Transfer aborted"},
	{errLost, 426, "Transfer aborted"},
	{errShrunk, 451, "The file became shorter while it was sent"},
	{errRange, 451, "More data than the range has room for"},
	{errBomb, 552, "Compressed data expands too much"},
	{errDamaged, 451, "Compressed data is damaged"},
	{io.ErrUnexpectedEOF, 426, "Data connection broken"},
	{vfs.ErrQuota, 552, "Quota exceeded"},
	{vfs.ErrCounting, 450, "Files are being counted, try again in a moment"},
	{errCrowded, 552, "Disk full, please upload later"},
	{errTooLarge, 552, "File larger than is allowed here"},
	{errNoData, 425, "Cannot open data connection"},
	{syscall.ENOSPC, 452, "Disk full"},
	{syscall.EDQUOT, 552, "Quota exceeded"},
	{syscall.EFBIG, 552, "File too large"},
	{syscall.EBUSY, 450, "File busy"},
	{syscall.ETXTBSY, 450, "File busy"},
	{syscall.ENOTEMPTY, 550, "Directory not empty"},
	{syscall.ENOTDIR, 550, "Not a directory"},
	{syscall.EISDIR, 550, "Is a directory"},
	{syscall.ELOOP, 550, "Too many links"},
	{syscall.EXDEV, 550, "Not on the same file system"},
	{syscall.EINVAL, 550, "Not possible"},
	{syscall.EMFILE, 451, "Local error"},
	{syscall.ENFILE, 451, "Local error"},
	{syscall.ENOMEM, 451, "Local error"},
	{syscall.EIO, 451, "Local error"},
	{fs.ErrNotExist, 550, "No such file or directory"},
	{fs.ErrExist, 550, "File exists"},
	{fs.ErrPermission, 550, "Permission denied"},
	{syscall.EPIPE, 426, "Data connection broken"},
	{syscall.ECONNRESET, 426, "Data connection broken"},
	{syscall.ECONNABORTED, 426, "Data connection broken"},
	{syscall.ETIMEDOUT, 426, "Data connection broken"},
	{syscall.EHOSTUNREACH, 426, "Data connection broken"},
	{net.ErrClosed, 426, "Data connection broken"},
	{os.ErrDeadlineExceeded, 426, "Data connection broken"},
	{io.ErrUnexpectedEOF, 426, "Data connection broken"},
	{context.Canceled, 426, "Transfer aborted"},
}

// afterStart is replyFor an error that came after 150: the disk or the file
// system then is a local error, whatever its reason (RFC 959, section 5.4).
func afterStart(err error) reply {
	r := replyFor(err)
	if r.code == 550 || r.code == 450 {
		r.code = 451
	}
	return r
}

// append writes the reply as it goes over the wire, whole, so that one write
// sends it; in puts each text into the client's language. A line in the middle
// begins with a blank or with the code and "-", so that no client takes it for
// the last one, whatever a file's name is.
func (r reply) append(b []byte, in func(phrase) string) []byte { return r.encode(b, in, nil) }

// encode is append in the client's encoding.
func (r reply) encode(b []byte, in func(phrase) string, enc *charset.Charset) []byte {
	for i, line := range r.lines {
		if i == 0 || r.prose {
			b = fmt.Appendf(b, "%03d-", r.code)
		} else {
			b = append(b, ' ')
		}
		b = appendText(b, in(line), enc)
	}
	last := in(r.text)
	if !r.text.verbatim && r.code != 257 { // who reads no more would take the rest for another reply
		last = cut(last, lastLine)
	}
	return appendText(fmt.Appendf(b, "%03d ", r.code), last, enc)
}

// appendText writes one line of a reply: no control character leaves the line,
// and 0xFF is doubled as Telnet asks. What the client's encoding cannot hold
// is a question mark; a path of the client's own is never among that.
func appendText(b []byte, text string, enc *charset.Charset) []byte {
	if enc != nil {
		return appendEncoded(b, text, enc)
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c == 0x7f:
			b = append(b, '?')
		case c == telnetIAC:
			b = append(b, telnetIAC, telnetIAC)
		default:
			b = append(b, c)
		}
	}
	return append(b, '\r', '\n')
}

func appendEncoded(b []byte, text string, enc *charset.Charset) []byte {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
	b = append(b, bytes.ReplaceAll([]byte(enc.Approximate(text)), []byte{telnetIAC}, []byte{telnetIAC, telnetIAC})...)
	return append(b, '\r', '\n')
}

// quoted writes a path as RFC 959, appendix II, has it: in quotes, with quotes doubled.
func quoted(path string) string { return `"` + strings.ReplaceAll(path, `"`, `""`) + `"` }
