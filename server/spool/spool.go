// Package spool keeps what was uploaded until a program has been told of it, and
// tells it.
//
// The daemon writes, with one write for each upload, and another process reads
// and runs the program, so that neither waits for the other, and either may end
// at any time: what is written is there when both are back, and what was read is
// forgotten only when the program has ended. So each upload is told at least
// once. A machine that loses its power may lose the last ones, as it may the files.
//
// A folder holds numbered segments of records, which only grow and which the
// reader removes, and the place up to which all is done.
package spool

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Status tells how much of a file was uploaded.
type Status string

// What is known of a file that was stored.
const (
	Complete    Status = "complete"
	Unconfirmed Status = "unconfirmed" // its client left before it was told that all is there; it may be a part
)

// An Upload is a file that was stored.
type Upload struct {
	Time   time.Time
	User   string // the account
	Path   string // on the host
	Status Status
}

// ErrBusy is that somebody else reads a spool, or writes to it.
var ErrBusy = errors.New("another process uses it")

// appendRecord adds a line for an upload, with a checksum at its end.
func appendRecord(line []byte, u Upload) []byte {
	start := len(line)
	line = strconv.AppendInt(line, u.Time.UnixNano(), 10)
	line = append(line, ' ')
	line = append(line, u.Status...)
	line = append(line, ' ')
	line = strconv.AppendQuote(line, u.User)
	line = append(line, ' ')
	line = strconv.AppendQuote(line, u.Path)
	return fmt.Appendf(line, " %08x\n", crc32.ChecksumIEEE(line[start:]))
}

// parseRecord reads a line without its end. Torn ones are refused.
func parseRecord(line string) (u Upload, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 || line[i+1:] != fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(line[:i]))) {
		return u, false
	}
	stamp, rest, _ := strings.Cut(line[:i], " ")
	status, rest, _ := strings.Cut(rest, " ")
	nanos, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return u, false
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return u, false
	}
	if u.User, err = strconv.Unquote(quoted); err != nil {
		return u, false
	}
	if u.Path, err = strconv.Unquote(strings.TrimPrefix(rest[len(quoted):], " ")); err != nil {
		return u, false
	}
	u.Time, u.Status = time.Unix(0, nanos), Status(status)
	return u, !strings.ContainsRune(u.User+u.Path, 0) // which no program can be told
}

// What is in the folder beside segments.
const (
	segmentSuffix = ".uploads"
	doneName      = "done"   // the place up to which all is done
	readerName    = "reader" // locked by who reads
	writerName    = "writer" // locked by who writes
)

// A position is a place between two records.
type position struct {
	segment uint64
	offset  int64
}

func segmentPath(dir string, n uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", n, segmentSuffix))
}

// segments returns the numbers of all segments, in order, and what they weigh.
func segments(dir string) (numbers []uint64, size int64, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		number, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		n, perr := strconv.ParseUint(number, 10, 64)
		if !ok || perr != nil {
			continue
		}
		numbers = append(numbers, n)
		if info, err := e.Info(); err == nil {
			size += info.Size()
		}
	}
	slices.Sort(numbers)
	return numbers, size, err
}

// note is what the file has that tells up to where all is done: always as many
// bytes, so that one write leaves the old or the new.
func (p position) note() []byte {
	text := fmt.Appendf(nil, "%020d %020d", p.segment, p.offset)
	return fmt.Appendf(text, " %08x\n", crc32.ChecksumIEEE(text))
}

// readDone returns the place up to which all is done; at first the beginning, and
// where the note of it is damaged, since then more is told than need be.
func readDone(dir string) position {
	text, err := os.ReadFile(filepath.Join(dir, doneName))
	var p position
	if err == nil {
		_, err = fmt.Sscanf(string(text), "%d %d", &p.segment, &p.offset)
	}
	if err != nil || p.offset < 0 || !bytes.Equal(text, p.note()) {
		return position{}
	}
	return p
}

const (
	claimTries = 5
	claimPause = 20 * time.Millisecond
)

// claim makes the folder of a spool, which nobody else may look into, and locks
// it for one purpose.
func claim(dir, name string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the spool of uploads: %w", err)
	}
	info, err := os.Lstat(dir)
	if err == nil {
		err = private(info)
	}
	if err != nil {
		return nil, fmt.Errorf("the spool of uploads %s: %w", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the spool of uploads: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	for i := 0; i < claimTries && errors.Is(err, unix.EWOULDBLOCK); i++ { // it may be only looked at, by locked
		time.Sleep(claimPause)
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrBusy
		}
		return nil, fmt.Errorf("the spool of uploads %s: %w", dir, err)
	}
	return f, nil
}

// locked tells whether somebody has claimed the spool for a purpose.
func locked(dir, name string) bool {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
}

// private refuses a folder that others could put records into: programs are run
// for them.
func private(info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return errors.New("is no folder")
	case !ok || int(st.Uid) != os.Geteuid():
		return errors.New("is another user's, and is read by none but that one")
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("is open to others: its mode is %04o and not 0700", info.Mode().Perm())
	}
	return nil
}
