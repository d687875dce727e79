package stats

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
)

// A Place is how far a log was read. It is known by how it begins, since its name
// changes when it is rotated, its inode when it is copied or compressed, and the
// log that then has its name begins otherwise.
type Place struct {
	Head   []byte `json:"head"`   // the hash of its first bytes,
	Length int    `json:"length"` // of so many
	Offset int64  `json:"offset"` // of the first line that was not read
	seen   bool   // in this run
}

// HeadLength is by how much of it a log is known.
const HeadLength = 1024

// Places are those of a state.
type Places struct{ list []*Place }

// Find returns the place of a log, by its first bytes, [HeadLength] of them if there
// are. A log that is shorter than it was is a new one.
func (p *Places) Find(head []byte) *Place {
	for _, place := range p.list {
		if 0 < place.Length && place.Length <= len(head) && !place.seen && bytes.Equal(place.Head, hashOf(head[:place.Length])) {
			place.seen = true
			place.Head, place.Length = hashOf(head), len(head)
			return place
		}
	}
	place := &Place{Head: hashOf(head), Length: len(head), seen: true}
	if len(head) > 0 { // an empty one is like any other
		p.list = append(p.list, place)
	}
	return place
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
		if place == nil || place.Offset < 0 || place.Length < 0 || place.Length > HeadLength {
			return nil, errState
		}
	}
	return p, nil
}
