package userdb

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	bolt "go.etcd.io/bbolt"
)

// ErrChanged means that a password was changed meanwhile.
var ErrChanged = errors.New("the password was changed meanwhile")

// bucketRenewed has, for users whose hash a login has renewed, digests of the hash
// that somebody gave them last and of the one that they have now. By it Undo can
// tell that nobody has changed the password, however often its hash was renewed.
const bucketRenewed = "renewed"

// Renew replaces a hash by a better one of the same password. As that is nobody's
// doing it is not in the trail.
func (db DB) Renew(name, old, better string) error {
	renew := func(u *User) error {
		if u.Password != old {
			return ErrChanged
		}
		u.Password = better
		return nil
	}
	return db.modify(name, renew, func(tx *bolt.Tx, e edit) error {
		renewed, err := tx.CreateBucketIfNotExists([]byte(bucketRenewed))
		if err != nil {
			return err
		}
		was, now := hashDigest(old), hashDigest(better)
		if from, to, found := bytes.Cut(renewed.Get([]byte(name)), []byte{' '}); found && bytes.Equal(to, was) {
			was = bytes.Clone(from)
		}
		return renewed.Put([]byte(name), append(append(was, ' '), now...))
	})
}

// samePassword tells whether two hashes of a user are of one password, as far as what
// the bucket of renewed hashes has of it tells.
func samePassword(renewed []byte, given, present string) bool {
	from, to, found := bytes.Cut(renewed, []byte{' '})
	return given == present || found && bytes.Equal(from, hashDigest(given)) && bytes.Equal(to, hashDigest(present))
}

// hashDigest stands for a hash where it need not be known, as text.
func hashDigest(hash string) []byte {
	sum := sha256.Sum256([]byte(hash))
	return hex.AppendEncode(nil, sum[:16])
}
