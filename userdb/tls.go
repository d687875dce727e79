package userdb

import "slices"

// A TLS is what an account demands of its sessions, whatever the server does.
type TLS uint8

// What may be demanded.
const (
	TLSOptional TLS = iota
	TLSLogin        // a protected control connection
	TLSData         // protected data connections as well
)

var tlsNames = [...]string{"optional", "login", "data"}

func (t TLS) String() string {
	if int(t) >= len(tlsNames) {
		return "unknown"
	}
	return tlsNames[t]
}

// ParseTLS reads what String writes; "" is optional.
func ParseTLS(text string) (TLS, error) {
	if text == "" {
		return TLSOptional, nil
	}
	if i := slices.Index(tlsNames[:], text); i >= 0 {
		return TLS(i), nil
	}
	return 0, invalid("%.20q is none of optional, login, data", text)
}

// MarshalText and UnmarshalText make it a word in JSON.
func (t TLS) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads that word.
func (t *TLS) UnmarshalText(text []byte) (err error) {
	*t, err = ParseTLS(string(text))
	return err
}
