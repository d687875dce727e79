package session

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// An ID names a session for as long as the daemon runs. IDs rise and are never
// used twice, so a kick that comes late cannot hit somebody else.
type ID uint64

func (id ID) String() string { return strconv.FormatUint(uint64(id), 10) }

// ParseID reads what String writes. Zero is nobody's.
func ParseID(text string) (ID, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("session id %q is not a number from 1", text)
	}
	return ID(n), nil
}

// A State is what a session is doing now.
type State int

const (
	Login       State = iota // connected, nobody logged in
	Idle                     // logged in, no data connection at work
	Listing                  // LIST, NLST or MLSD
	Downloading              // RETR
	Uploading                // STOR, STOU or APPE
	Working                  // HASH and its like, SITE COPY, COMB: files, and no data connection
)

var stateNames = [...]string{"login", "idle", "listing", "downloading", "uploading", "working"}

func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return "State(" + strconv.Itoa(int(s)) + ")"
	}
	return stateNames[s]
}

// ParseState reads what String writes.
func ParseState(text string) (State, error) {
	for s, name := range stateNames {
		if text == name {
			return State(s), nil
		}
	}
	return 0, fmt.Errorf("state %q is none of login, idle, listing, downloading, uploading, working", text)
}

// MarshalText and AppendText make the state a word in JSON.
func (s State) MarshalText() ([]byte, error) { return s.AppendText(nil) }

// AppendText is MarshalText without the allocation.
func (s State) AppendText(b []byte) ([]byte, error) { return append(b, s.String()...), nil }

// UnmarshalText reads that word.
func (s *State) UnmarshalText(text []byte) (err error) {
	*s, err = ParseState(string(text))
	return err
}

// Transfers reports whether files are at work in this state, mostly over a data
// connection.
func (s State) Transfers() bool { return s >= Listing }

// Info is what is known of one session at one moment: what the local API sends
// and `portreeve who` prints. Strings that came from the client are as it sent
// them; who prints them makes them harmless.
type Info struct {
	// Connection
	ID      ID             `json:"id"`
	Remote  netip.AddrPort `json:"remote"`
	Name    string         `json:"name"` // of the client's host, "" if none is known
	Local   netip.AddrPort `json:"local"`
	Started time.Time      `json:"started"` // connected
	TLS     string         `json:"tls"`     // version, "" if in clear
	Client  string         `json:"client"`  // what CLNT or CSID said, "" if nothing
	Host    string         `json:"vhost"`   // virtual host, "" for the server itself

	// Login
	User  string    `json:"user"` // account, "" before login
	State State     `json:"state"`
	Since time.Time `json:"since"` // in this state since
	Cwd   string    `json:"cwd"`

	// Last command, its arguments masked where they are secret, and when it came.
	Command string    `json:"command"`
	Active  time.Time `json:"active"`

	// Transfer under way; Size is -1 where nobody can know it, and outside a transfer.
	Path    string `json:"path"`
	Offset  int64  `json:"offset"` // resumed here
	Size    int64  `json:"size"`   // of the whole file
	Moved   int64  `json:"moved"`  // so far, not counting Offset
	Rate1s  int64  `json:"rate_1s"`
	Rate10s int64  `json:"rate_10s"`
	RateAvg int64  `json:"rate_avg"` // bytes a second, as the two above

	// Since connected. Listings count in none of these.
	TotalUp   int64 `json:"total_up"` // bytes, with those of the transfer under way
	TotalDown int64 `json:"total_down"`
	Uploads   int   `json:"uploads"` // begun
	Downloads int   `json:"downloads"`
	FilesUp   int   `json:"files_up"` // moved whole
	FilesDown int   `json:"files_down"`
}

// Percent is how much of the file is there, from 0 to 100, or -1 if nobody can
// know. It is rounded to the nearest, and capped for files that grow meanwhile.
func (i Info) Percent() int {
	if !i.State.Transfers() || i.Size < 0 {
		return -1
	}
	if i.Size == 0 {
		return 100
	}
	return max(0, min(100, int((float64(i.Offset)+float64(i.Moved))/float64(i.Size)*100+0.5)))
}
