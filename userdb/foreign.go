package userdb

import (
	"crypto/subtle"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/md5crypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
	"github.com/go-crypt/x/yescrypt"
)

// A scheme is a way to hash passwords that is not ours, but that users are
// imported with.
type scheme struct {
	prefixes []string
	// memory reads what checking a hash takes, in bytes. The library below
	// does not bound it enough, so what this has not passed never gets there.
	memory func(hash string) (int64, error)
	match  func(hash, password string) (bool, error)
}

// schemes are the foreign hashes that can be checked: those that Pure-FTPd
// writes or reads, but DES, which looks at eight characters only.
func schemes() []scheme {
	return []scheme{
		{[]string{"$argon2id$", "$argon2i$"}, argon2Memory, digest(argon2.Decode)},
		{[]string{"$2a$", "$2b$", "$2y$"}, bcryptMemory, digest(bcrypt.Decode)},
		{[]string{"$5$", "$6$"}, shaMemory, digest(shacrypt.Decode)},
		{[]string{"$1$"}, md5Memory, digest(md5crypt.Decode)},
		{[]string{"$y$"}, yescryptMemory, matchYescrypt},
	}
}

func schemeOf(hash string) (scheme, error) {
	for _, s := range schemes() {
		for _, prefix := range s.prefixes {
			if strings.HasPrefix(hash, prefix) {
				return s, nil
			}
		}
	}
	return scheme{}, ErrUnknownHash
}

func foreignMemory(hash string) (int64, error) {
	s, err := schemeOf(hash)
	if err != nil {
		return 0, err
	}
	return s.memory(hash)
}

// verifyForeign checks a hash that foreignMemory let pass.
func verifyForeign(hash, password string) (bool, error) {
	s, err := schemeOf(hash)
	if err != nil {
		return false, err
	}
	return s.match(hash, password)
}

// digest makes a match from a decoder of the library.
func digest(decode func(string) (algorithm.Digest, error)) func(hash, password string) (bool, error) {
	return func(hash, password string) (bool, error) {
		d, err := decode(hash)
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrUnknownHash, err)
		}
		return d.MatchBytesAdvanced([]byte(password))
	}
}

// Bounds of time. Each is some seconds on a machine of its day; pure-pw writes
// argon2 hashes of 8 MiB that take one second wherever they are made, which may
// be more than a thousand passes.
const (
	maxArgonPasses  = 1 << 24 // KiB times passes
	maxArgonLanes   = 64
	maxBcryptCost   = 16
	maxSHARounds    = 1 << 20
	minSHARounds    = 1000
	bcryptMemoryUse = 8 << 10
	shaMemoryUse    = 8 << 10
)

// argon2Memory reads $argon2id$v=19$m=8192,t=255,p=1$salt$key, in the form of
// its reference implementation: no part may be missing or stand elsewhere.
func argon2Memory(hash string) (int64, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[2] != "v=19" || len(parts[4]) > 100 || len(parts[5]) < 6 || len(parts[5]) > 100 {
		return 0, ErrUnknownHash
	}
	params := strings.Split(parts[3], ",")
	if len(params) != 3 {
		return 0, ErrUnknownHash
	}
	var n [3]int64
	for i, key := range []string{"m=", "t=", "p="} {
		text, ok := strings.CutPrefix(params[i], key)
		v, err := decimal(text)
		if !ok || err != nil || v < 1 {
			return 0, ErrUnknownHash
		}
		n[i] = v
	}
	kib, passes, lanes := n[0], n[1], n[2]
	if kib > maxArgonPasses/passes || lanes > maxArgonLanes {
		return 0, fmt.Errorf("%w: argon2 with %d KiB, %d passes, %d lanes", ErrTooCostly, kib, passes, lanes)
	}
	return max(kib, 8*lanes) << 10, nil
}

// bcryptMemory reads $2b$12$ and 53 characters.
func bcryptMemory(hash string) (int64, error) {
	if len(hash) != 60 || hash[6] != '$' {
		return 0, ErrUnknownHash
	}
	cost, err := decimal(hash[4:6])
	if err != nil || cost < 4 || cost > 31 {
		return 0, ErrUnknownHash
	}
	if cost > maxBcryptCost {
		return 0, fmt.Errorf("%w: bcrypt with cost %d", ErrTooCostly, cost)
	}
	return bcryptMemoryUse, nil
}

// shaMemory reads $6$salt$key and $6$rounds=5000$salt$key.
func shaMemory(hash string) (int64, error) {
	parts := strings.Split(hash, "$")
	if len(parts) == 5 {
		text, ok := strings.CutPrefix(parts[2], "rounds=")
		rounds, err := decimal(text)
		if !ok || err != nil || rounds < minSHARounds {
			return 0, ErrUnknownHash
		}
		if rounds > maxSHARounds {
			return 0, fmt.Errorf("%w: SHA-crypt with %d rounds", ErrTooCostly, rounds)
		}
		parts = parts[1:]
	}
	if len(parts) != 4 || len(parts[2]) > 16 || parts[3] == "" {
		return 0, ErrUnknownHash
	}
	return shaMemoryUse, nil
}

// md5Memory reads $1$salt$key.
func md5Memory(hash string) (int64, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 4 || len(parts[2]) > 8 || len(parts[3]) != 22 {
		return 0, ErrUnknownHash
	}
	return shaMemoryUse, nil
}

// yescryptMemory reads $y$j9T$salt$key, of which the two characters after j
// are log2 N and r, each less one.
func yescryptMemory(hash string) (int64, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 5 || len(parts[2]) != 3 || parts[2][0] != 'j' || len(parts[3]) > 86 || len(parts[4]) != keyText {
		return 0, ErrUnknownHash
	}
	logN, ok1 := read64(parts[2][1:2])
	r, ok2 := read64(parts[2][2:3])
	if !ok1 || !ok2 {
		return 0, ErrUnknownHash
	}
	if logN+1 > 18 || r+1 > 32 {
		return 0, fmt.Errorf("%w: yescrypt with N=2^%d r=%d", ErrTooCostly, logN+1, r+1)
	}
	return int64(128*(r+1)) << (logN + 1), nil
}

func matchYescrypt(hash, password string) (bool, error) {
	again, err := yescrypt.Hash([]byte(password), []byte(hash))
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrUnknownHash, err)
	}
	return subtle.ConstantTimeCompare(again, []byte(hash)) == 1, nil
}

// decimal reads digits and nothing else.
func decimal(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int64(n), err
}
