package history

import (
	"cmp"
	"encoding/binary"
	"time"

	bolt "go.etcd.io/bbolt"

	"portreeve/logparse"
)

// A Sum is what a user did in some days, or what was done to a path or from an
// address.
type Sum struct {
	User       string `json:"user,omitempty"` // one of these
	Path       string `json:"path,omitempty"`
	Addr       string `json:"addr,omitempty"`
	Uploads    int64  `json:"uploads"`
	Downloads  int64  `json:"downloads"`
	Incomplete int64  `json:"incomplete"`
	Deletes    int64  `json:"deletes"`
	In         int64  `json:"bytes_in"`
	Out        int64  `json:"bytes_out"`
}

// maxDays is how many days of users are kept, which is longer than entries are: 27
// years of a hundred users.
const maxDays = 1_000_000

// Name is what it is a sum of.
func (s *Sum) Name() string { return cmp.Or(s.User, s.Path, s.Addr) }

func (s *Sum) fields() []*int64 {
	return []*int64{&s.Uploads, &s.Downloads, &s.Incomplete, &s.Deletes, &s.In, &s.Out}
}

// add counts an entry, and tells whether it is one that counts.
func (s *Sum) add(e *logparse.Entry) bool {
	switch {
	case e.Event == logparse.Delete && e.Status != logparse.Failed:
		s.Deletes++
		return true
	case e.Event != logparse.Transfer:
		return false
	case e.Direction == logparse.Upload:
		s.Uploads++
		s.In += e.Bytes
	default:
		s.Downloads++
		s.Out += e.Bytes
	}
	if e.Status == logparse.Cut || e.Status == logparse.Failed {
		s.Incomplete++
	}
	return true
}

func (s *Sum) merge(o *Sum) {
	from := o.fields()
	for i, f := range s.fields() {
		*f += *from[i]
	}
}

// addDay adds an entry to the day of its user, at UTC, of which so many are kept.
func addDay(days *bolt.Bucket, e *logparse.Entry, most uint64) error {
	var s Sum
	if e.User == "" || !s.add(e) {
		return nil
	}
	key := dayKey(e.Time, e.User)
	if len(key) > bolt.MaxKeySize {
		return nil
	}
	old := days.Get(key)
	if old == nil {
		if err := makeRoom(days, most); err != nil {
			return err
		}
	}
	before := decodeSum(old)
	s.merge(&before)
	var value []byte
	for _, f := range s.fields() {
		value = binary.AppendVarint(value, *f)
	}
	return days.Put(key, value)
}

// makeRoom counts a day more, or has the oldest make room for it.
func makeRoom(days *bolt.Bucket, most uint64) error {
	if days.Sequence() < most {
		return days.SetSequence(days.Sequence() + 1)
	}
	k, _ := days.Cursor().First()
	return days.Delete(k)
}

func dayKey(t time.Time, user string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(max(t.Unix()/86400, 0))), user...)
}

func decodeSum(value []byte) (s Sum) {
	for _, f := range s.fields() {
		n, length := binary.Varint(value)
		if length <= 0 {
			return s
		}
		*f, value = n, value[length:]
	}
	return s
}

// Users sums up what each user did from the day of one time up to that of another,
// which may be zero; days are those of UTC. The one who moved the most is first.
func (db DB) Users(since, until time.Time) ([]Sum, error) {
	sums := make(map[string]*Sum)
	err := db.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketDays).Cursor()
		from := dayKey(since, "")
		for k, v := c.Seek(from); len(k) >= 4; k, v = c.Next() {
			if day := int64(binary.BigEndian.Uint32(k)); !until.IsZero() && day*86400 >= until.Unix() {
				break
			}
			user := string(k[4:])
			s := decodeSum(v)
			if sums[user] == nil {
				sums[user] = &Sum{User: user}
			}
			sums[user].merge(&s)
		}
		return nil
	})
	return sorted(sums), err
}
