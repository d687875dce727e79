package stats

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
)

// A Place is how far a log was read. It is known by how it begins, since its name
// changes when it is rotated, its inode when it is copied or compressed, and the
// log that then has its name begins otherwise.
type Place struct {
	Head   []byte `json:"head"`   // the hash of its first bytes,
	Length int    `json:"length"` // of so many
	Offset int64  `json:"offset"` // of the first line that was not read
	Seen   bool   `json:"-"`      // in this run
}

// headLength is by how much of it a log is known.
const headLength = 1024

// Places are those of a state.
type Places struct{ list []*Place }

// Find returns the place of a log, which is read from its beginning. A log that is
// shorter than it was is a new one.
func (p *Places) Find(log io.Reader) (*Place, error) {
	head := make([]byte, headLength)
	n, err := io.ReadFull(log, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	head = head[:n]
	for i := range p.list {
		place := p.list[i]
		if place.Length <= n && place.Length > 0 && !place.Seen && string(place.Head) == string(hashOf(head[:place.Length])) {
			place.Seen = true
			place.Head, place.Length = hashOf(head), n
			return place, nil
		}
	}
	p.list = append(p.list, &Place{Head: hashOf(head), Length: n, Seen: true})
	return p.list[len(p.list)-1], nil
}

func hashOf(head []byte) []byte {
	hash := sha256.Sum256(head)
	return hash[:16]
}

// keptPlaces is of how many logs that were not seen again it is kept how far they
// were read.
const keptPlaces = 1000

// Append adds them to a state.
func (p *Places) Append(buf []byte) ([]byte, error) {
	text, err := json.Marshal(p.list[max(0, len(p.list)-keptPlaces):])
	return append(buf, text...), err
}

// LoadPlaces reads what Append wrote.
func LoadPlaces(text []byte) (*Places, error) {
	p := new(Places)
	if len(text) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(text, &p.list); err != nil {
		return nil, errState
	}
	for _, place := range p.list {
		if place == nil || place.Offset < 0 || place.Length < 0 || place.Length > headLength {
			return nil, errState
		}
	}
	return p, nil
}
