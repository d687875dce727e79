package server

import (
	"context"
	"crypto/md5"  //nolint:gosec // clients compare files with it, nothing is secured by it
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"strings"

	registry "portreeve/server/session"
	"portreeve/server/vfs"
)

// Checksums of files: HASH (draft-bryan-ftpext-hash), and the commands that were
// there before it. All of them hash what is on disk, whatever TYPE and MODE are.

// A digest is a kind of checksum.
type digest struct {
	name string
	make func() hash.Hash
}

// digests are in the order in which FEAT has them; the first is the default.
var digests = []digest{
	{"SHA-256", sha256.New},
	{"SHA-512", sha512.New},
	{"SHA-1", sha1.New},
	{"MD5", md5.New},
	{"CRC32", func() hash.Hash { return crc32.NewIEEE() }},
}

// digestOf returns the place of a kind among digests, -1 if there is none.
func digestOf(name string) int {
	for i, d := range digests {
		if strings.EqualFold(d.name, name) {
			return i
		}
	}
	return -1
}

// featHASH is the line of FEAT, with a star behind the kind that HASH uses.
func (s *session) featHASH() string {
	var b strings.Builder
	b.WriteString("HASH ")
	for i, d := range digests {
		b.WriteString(d.name)
		if i == s.digest {
			b.WriteByte('*')
		}
		b.WriteByte(';')
	}
	return b.String()
}

// optsHASH tells or chooses what HASH computes.
func (s *session) optsHASH(name string) reply {
	if name != "" {
		i := digestOf(name)
		if i < 0 {
			return say(501, "No such hash")
		}
		s.digest = i
	}
	return fixed(200, "%s", digests[s.digest].name)
}

// cmdHASH tells the checksum of a file, or of the range that RANG chose, which is
// used up.
func (s *session) cmdHASH(ctx context.Context, arg string) (reply, error) {
	mark := s.takeRange()
	d := digests[s.digest]
	r, err := s.checksum(ctx, "HASH", s.file(arg), d, mark, func(first, n, size int64, sum []byte) reply {
		last := size
		switch {
		case mark.ranged && n == 0:
			first, last = mark.first, mark.last
		case mark.ranged:
			last = first + n - 1
		}
		return fixed(213, "%s %d-%d %x %s", d.name, first, last, sum, arg)
	})
	switch { // the codes of the draft's section 3.2
	case errors.Is(err, vfs.ErrIsDir):
		return say(553, "Is a directory"), nil
	case errors.Is(err, vfs.ErrDenied):
		return say(552, "Not allowed to this account"), nil
	}
	return r, err
}

// takeRange returns what RANG chose, which is used up by that; all, if it did not.
func (s *session) takeRange() (mark marker) {
	if s.mark.ranged {
		mark, s.mark = s.mark, marker{}
	}
	return mark
}

// checksum has a part of a file hashed. To read it is all that takes.
func (s *session) checksum(ctx context.Context, verb, path string, d digest, mark marker, answer func(first, n, size int64, sum []byte) reply) (reply, error) {
	file, info, err := s.fs.Read(path)
	if err != nil {
		return reply{}, err
	}
	first, n, err := mark.of(info.Size)
	if err == nil {
		err = seekTo(file, first)
	}
	if err == nil && s.cfg.MaxHashSize > 0 && n > s.cfg.MaxHashSize {
		err = &failure{say(556, "Too large to be hashed at once, ask for a range"), nil}
	}
	if err != nil {
		file.Close()
		return reply{}, err
	}
	t := &transfer{verb: verb, kind: registry.Working, path: path, offset: first, size: info.Size, undo: func() { file.Close() }}
	t.work = func(f *flow) (reply, error) {
		defer file.Close()
		sum, err := f.hash(file, n, d.make())
		return answer(first, n, info.Size, sum), err
	}
	return s.work(ctx, t)
}

// hash reads n bytes of file from where it stands.
func (f *flow) hash(file *os.File, n int64, h hash.Hash) ([]byte, error) {
	buf := make([]byte, min(n, 128<<10))
	err := f.pass(n, func(n int64) (int64, error) {
		k, err := file.Read(buf[:min(n, int64(len(buf)))])
		h.Write(buf[:k]) // never fails
		if errors.Is(err, io.EOF) {
			err = nil // pass sees that nothing came
		}
		return int64(k), err
	})
	return h.Sum(nil), err
}

// xhash returns the handler of a command that hashes in one way only. The last
// word of its reply is the checksum, in capitals. Places in its argument go before
// those of RANG, which are used up either way.
func xhash(verb, kind string) func(*session, context.Context, string) (reply, error) {
	d := digests[digestOf(kind)]
	return func(s *session, ctx context.Context, arg string) (reply, error) {
		chosen := s.takeRange()
		path, mark, ok := parseXHash(arg, func(path string) bool {
			_, err := s.fs.Stat(s.path(path))
			return err == nil
		})
		if !ok {
			return sayf(501, "%s takes a path, in quotes if a first and a last place follow", verb), nil
		}
		if mark == (marker{}) {
			mark = chosen
		}
		return s.checksum(ctx, verb, s.file(path), d, mark, func(_, _, _ int64, sum []byte) reply {
			return fixed(250, "%X", sum)
		})
	}
}

// parseXHash reads a path, behind which there may be where to begin and, behind
// that, where to end. Only a path in quotes is parted from them for certain;
// without quotes all of it is the path if that exists.
func parseXHash(arg string, exists func(path string) bool) (path string, mark marker, ok bool) {
	var places []string
	if strings.HasPrefix(arg, `"`) {
		var rest string
		if path, rest, ok = unquote(arg); !ok || path == "" {
			return "", marker{}, false
		}
		places = strings.Fields(rest)
	} else {
		path = arg
		words := strings.Split(arg, " ")
		if n := len(words) - 2; n > 0 && words[0] != "" && isNumber(words[n]) && isNumber(words[n+1]) && !exists(arg) {
			path, places = strings.Join(words[:n], " "), words[n:]
		}
	}
	if len(places) == 0 {
		return path, marker{}, true
	}
	first, err := digits(places[0])
	if err != nil || len(places) > 2 {
		return "", marker{}, false
	}
	mark = marker{first: first}
	if len(places) == 2 {
		end, err := digits(places[1])
		if err != nil || end < first {
			return "", marker{}, false
		}
		mark.ranged, mark.last = true, end-1
	}
	return path, mark, true
}

func isNumber(word string) bool {
	_, err := digits(word)
	return err == nil
}
