package userdb

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/scrypt"
)

// Passwords are stored as "$7$" strings of scrypt (RFC 7914), which libsodium
// and so Pure-FTPd write and verify: users can move both ways. A string has one
// character for log2 N, five for r, five for p, a salt, '$' and 43 characters
// for a key of 32 bytes. Numbers and the key are written six bits a character,
// the lowest first; the salt is the text itself, not what it might encode.

// Cost is what a hash costs to make and to check: 128·N·r bytes of memory, and
// time in proportion to N·r·p, with N = 2^LogN.
type Cost struct{ LogN, R, P int }

// DefaultCost is as strong as N=2^17 r=8 p=1 with a quarter of the memory.
func DefaultCost() Cost { return Cost{LogN: 15, R: 8, P: 3} }

// Memory returns how many bytes one hash takes.
func (c Cost) Memory() int64 { return 128 * int64(c.R) * (int64(1)<<c.LogN + int64(c.P) + 2) }

// work is the time of one hash, in blocks of 128 bytes that are mixed.
func (c Cost) work() int64 { return int64(c.R) * int64(c.P) << c.LogN }

// Bounds of what is hashed and of what a stored hash may ask for.
const (
	maxLogN = 24
	maxWork = 1 << 24 // some ten seconds
	// maxPassword is Pure-FTPd's: a longer one could not log in there.
	maxPassword = 511

	saltLen = 43
	keyLen  = 32
	keyText = 43
)

// Errors of hashing and verifying.
var (
	// ErrTooCostly means that a hash asks for more memory or time than allowed.
	ErrTooCostly = errors.New("the hash costs too much to check")
	// ErrUnknownHash means that a stored hash is of no kind that can be checked.
	ErrUnknownHash = errors.New("the stored hash is of an unknown kind")
)

// Validate returns why no hash can be made at that cost.
func (c Cost) Validate() error {
	switch {
	case c.LogN < 1 || c.LogN > maxLogN:
		return invalid("log2 N of %d is not from 1 to %d", c.LogN, maxLogN)
	case c.R < 1 || c.P < 1 || int64(c.R)*int64(c.P) >= 1<<20:
		return invalid("r=%d, p=%d are not in the range of scrypt", c.R, c.P)
	case c.work() > maxWork:
		return fmt.Errorf("%w: N=2^%d r=%d p=%d", ErrTooCostly, c.LogN, c.R, c.P)
	}
	return nil
}

// Hash returns the string to store for a password.
func Hash(password string, c Cost) (string, error) {
	if err := c.Validate(); err != nil {
		return "", err
	}
	if err := ValidPassword(password); err != nil {
		return "", err
	}
	b := newSetting(c)
	salt := b[len(b)-saltLen:]
	key, err := scrypt.Key([]byte(password), salt, 1<<c.LogN, c.R, c.P, keyLen)
	if err != nil {
		return "", fmt.Errorf("hashing a password: %w", err)
	}
	b = append(b, '$')
	return string(encode64(b, key)), nil
}

// ValidPassword returns why no user can have that password.
func ValidPassword(password string) error {
	switch {
	case len(password) > maxPassword:
		return invalid("the password is longer than %d bytes", maxPassword)
	case strings.ContainsAny(password, "\x00\r\n"):
		return invalid("the password has a line break or NUL, which no client can send")
	}
	return nil
}

// newSetting returns a hash of that cost up to its key, with a fresh salt.
func newSetting(c Cost) []byte {
	var random [32]byte
	rand.Read(random[:])
	b := []byte("$7$")
	b = append64(b, uint64(c.LogN), 6)
	b = append64(b, uint64(c.R), 30)
	b = append64(b, uint64(c.P), 30)
	return encode64(b, random[:])
}

// Dummy returns a hash that takes as long to check as one of that cost, and
// that no password is known to have.
func Dummy(c Cost) string {
	var key [keyLen]byte
	rand.Read(key[:])
	return string(encode64(append(newSetting(c), '$'), key[:]))
}

// Verify reports whether password is the one of a stored hash. It first reads
// what the hash would cost, and refuses with ErrTooCostly what needs more than
// memory bytes or unreasonable time. A hash that is empty, locked or malformed
// is no password's.
func Verify(hash, password string, memory int64) (bool, error) {
	need, err := Memory(hash)
	if err != nil {
		return false, err
	}
	if need > memory {
		return false, fmt.Errorf("%w: %d MiB", ErrTooCostly, need>>20)
	}
	if possible := ValidPassword(password) == nil; !possible {
		return false, nil
	}
	if !strings.HasPrefix(hash, "$7$") {
		return verifyForeign(hash, password)
	}
	s, err := parseScrypt(hash)
	if err != nil {
		return false, err
	}
	key, err := scrypt.Key([]byte(password), []byte(s.salt), 1<<s.cost.LogN, s.cost.R, s.cost.P, keyLen)
	if err != nil {
		return false, fmt.Errorf("checking a password: %w", err)
	}
	return subtle.ConstantTimeCompare(encode64(nil, key), []byte(s.key)) == 1, nil
}

// Memory returns how many bytes it takes to check a hash.
func Memory(hash string) (int64, error) {
	if validHash(hash) != nil {
		return 0, ErrUnknownHash // base64 decoders pass over line breaks
	}
	if !strings.HasPrefix(hash, "$7$") {
		return foreignMemory(hash)
	}
	s, err := parseScrypt(hash)
	if err != nil {
		return 0, err
	}
	return s.cost.Memory(), nil
}

// Weaker reports whether a hash takes less work to guess than one of that cost,
// or is of another kind, so that it should be made anew when the password is known.
func Weaker(hash string, than Cost) bool {
	s, err := parseScrypt(hash)
	return err != nil || s.cost.work() < than.work()
}

// scryptHash is a "$7$" string in its parts.
type scryptHash struct {
	cost      Cost
	salt, key string
}

func parseScrypt(hash string) (scryptHash, error) {
	rest, ok := strings.CutPrefix(hash, "$7$")
	end := strings.LastIndexByte(rest, '$')
	if !ok || end < 11 || len(rest)-end-1 != keyText {
		return scryptHash{}, ErrUnknownHash
	}
	logN, ok1 := read64(rest[:1])
	r, ok2 := read64(rest[1:6])
	p, ok3 := read64(rest[6:11])
	if _, ok4 := read64(rest[end+1:]); !ok1 || !ok2 || !ok3 || !ok4 {
		return scryptHash{}, ErrUnknownHash
	}
	s := scryptHash{Cost{int(logN), int(r), int(p)}, rest[11:end], rest[end+1:]}
	return s, s.cost.Validate()
}

// alphabet are the digits of crypt(3), from 0 to 63.
const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// append64 writes the low bits of n, six a character, the lowest first.
func append64(b []byte, n uint64, bits int) []byte {
	for ; bits > 0; bits -= 6 {
		b = append(b, alphabet[n&63])
		n >>= 6
	}
	return b
}

// read64 undoes append64; of a text that is longer than a number can be, it
// only tells whether all are digits.
func read64(s string) (n uint64, ok bool) {
	for i := range len(s) {
		d := strings.IndexByte(alphabet, s[i])
		if d < 0 {
			return 0, false
		}
		if 6*i < 64 {
			n |= uint64(d) << (6 * i)
		}
	}
	return n, true
}

// encode64 writes bytes in groups of three, which are four characters.
func encode64(b, src []byte) []byte {
	for len(src) > 0 {
		n := min(3, len(src))
		var v uint64
		for i, c := range src[:n] {
			v |= uint64(c) << (8 * i)
		}
		b = append64(b, v, 8*n)
		src = src[n:]
	}
	return b
}
