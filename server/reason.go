package server

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"

	"portreeve/logparse"
	"portreeve/server/auth"
	registry "portreeve/server/session"
	"portreeve/server/vfs"
)

// The connection broke: that of a transfer, or that of the session.
const (
	lostData   = "data-connection-lost"
	lostClient = "client-lost"
)

// reasons are the words for why something ended as it did. Statistics group by
// them, so that they stay as they are; the first row that fits is taken.
var reasons = []struct {
	err  error
	word string
}{
	// How sessions end
	{errQuit, "quit"},
	{errIdle, "idle"},
	{errLoginTimeout, "login-timeout"},
	{errTooManyErrors, "too-many-errors"},
	{errFlood, "line-too-long"},
	{errHandshake, "tls-failed"},
	{errFault, "internal-error"},

	// Who ends a transfer, or a session
	{errAborted, "aborted"},
	{errEnded, "kicked"},
	{errShutdown, "server-stopping"},
	{errRevoked, "account-revoked"},
	{errLost, lostClient},
	{errQueue, "flooded"},
	{errStalled, "stalled"},
	{errTooLong, "too-long"},

	// What there is no room for
	{vfs.ErrQuota, "quota"},
	{syscall.EDQUOT, "quota"},
	{errCrowded, "disk-full"},
	{syscall.ENOSPC, "disk-full"},
	{errTooLarge, "file-too-large"},
	{syscall.EFBIG, "file-too-large"},
	{errRange, "range-full"},
	{errRatio, "ratio"},
	{errLoad, "load"},
	{vfs.ErrCounting, "being-counted"},

	// Data
	{errTruncated, "tls-truncated"},
	{errUnbound, "tls-unbound"},
	{errDataTLS, "tls-failed"},
	{errNoData, "no-data-connection"},
	{errShrunk, "file-changed"},
	{errBomb, "damaged-data"},
	{errDamaged, "damaged-data"},

	// Logins
	{errAnonymousOnly, "anonymous-only"},
	{auth.ErrUnknown, "unknown-user"},
	{auth.ErrPassword, "wrong-password"},
	{auth.ErrDisabled, "account-disabled"},
	{auth.ErrLocked, "account-locked"},
	{auth.ErrExpired, "account-expired"},
	{auth.ErrPasswordExpired, "password-expired"},
	{auth.ErrHours, "outside-hours"},
	{auth.ErrAddress, "address-not-allowed"},
	{auth.ErrUID, "uid-too-low"},
	{auth.ErrTLS, "tls-required"},
	{auth.ErrShell, "shell"},
	{auth.ErrBusy, "busy"},
	{auth.ErrRefused, "refused"},
	{errRefused, "refused"},
	{auth.ErrDenied, "refused"},
	{registry.ErrFull, "server-full"},
	{registry.ErrHostFull, "address-full"},
	{registry.ErrUserFull, "user-full"},
	{vfs.ErrNoHome, "no-home"},

	// Files
	{vfs.ErrName, "bad-name"},
	{vfs.ErrOffset, "bad-offset"},
	{vfs.ErrUnapproved, "unapproved"},
	{vfs.ErrIsDir, "is-directory"},
	{syscall.EISDIR, "is-directory"},
	{vfs.ErrNotRegular, "not-a-file"},
	{syscall.ENOTDIR, "not-a-directory"},
	{syscall.ENOTEMPTY, "not-empty"},
	{syscall.EBUSY, "busy"},
	{syscall.ETXTBSY, "busy"},
	{syscall.EXDEV, "other-disk"},
	{syscall.EROFS, "read-only"},
	{syscall.EIO, "disk-error"},
	{fs.ErrNotExist, "no-such-file"},
	{fs.ErrExist, "exists"},
	{fs.ErrPermission, "not-allowed"},

	// Connections that broke
	{io.ErrUnexpectedEOF, lostData},
	{io.ErrClosedPipe, lostData},
	{io.EOF, lostClient},
	{syscall.EPIPE, lostData},
	{syscall.ECONNRESET, lostData},
	{syscall.ECONNABORTED, lostData},
	{syscall.ETIMEDOUT, lostData},
	{syscall.EHOSTUNREACH, lostData},
	{net.ErrClosed, lostData},
	{os.ErrDeadlineExceeded, lostData},
	{context.Canceled, "aborted"},
}

// reasonsByCode are for what was answered without an error.
var reasonsByCode = map[int]string{425: "no-data-connection", 421: "refused", 452: "disk-full", 530: "refused", 552: "quota"}

// reasonFor is the word for an error, or else for a reply.
func reasonFor(err error, code int) string {
	if _, ok := errors.AsType[registry.Kicked](err); ok {
		return "kicked"
	}
	if err != nil {
		for _, row := range reasons {
			if errors.Is(err, row.err) {
				return row.word
			}
		}
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return lostData
	}
	if word := reasonsByCode[code]; word != "" {
		return word
	}
	if err != nil {
		return "local-error"
	}
	return "refused"
}

// verdict is how a transfer ended, and why it did not end better. Of what was
// refused for want of room nothing is kept.
func verdict(r result) (logparse.Status, string) {
	switch {
	case r.err != nil && (neverBegan(r.err) || errors.Is(r.err, vfs.ErrQuota)):
		return logparse.Failed, reasonFor(r.err, 0)
	case r.err != nil:
		return logparse.Cut, reasonFor(r.err, 0)
	case r.unsigned:
		return logparse.Doubtful, "tls-truncated"
	case r.orphaned:
		return logparse.Doubtful, "client-left"
	}
	return logparse.Whole, ""
}

// neverBegan tells whether that is why there was no data connection.
func neverBegan(err error) bool {
	if _, ok := errors.AsType[*noData](err); ok {
		return true
	}
	_, ok := unprotected(err)
	return ok
}

// noDataWord is the likely cause, in a word, of there being no data connection;
// "" if that is not what was wrong.
func noDataWord(err error) string {
	e, never := errors.AsType[*noData](err)
	if !never {
		e, never = unprotected(err)
	}
	if !never {
		return ""
	}
	return causes[e.cause].word
}
