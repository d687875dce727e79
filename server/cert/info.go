package cert

import (
	"slices"
	"time"
)

// Info describes a certificate: in the daemon's status and in what commands show.
type Info struct {
	File        string    `json:"file"`
	Key         string    `json:"key,omitempty"` // its file, if that is another
	ACME        bool      `json:"acme"`          // the server obtains it itself
	Names       []string  `json:"names"`         // hosts, wildcards and addresses
	Issuer      string    `json:"issuer,omitempty"`
	SelfSigned  bool      `json:"self_signed"`
	NotBefore   time.Time `json:"not_before,omitzero"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	KeyType     string    `json:"key_type,omitempty"`
	Fingerprint string    `json:"sha256,omitempty"`
	Default     bool      `json:"default"`   // shown to who asks for a name that nobody has, or for none
	ShownFor    []string  `json:"shown_for"` // names that lead to it
	Problems    []string  `json:"problems"`
	Error       string    `json:"error,omitempty"`   // why what is in the files now, or a newer one, is not shown
	NextTry     time.Time `json:"next_try,omitzero"` // when ACME will be asked for the next one
}

// Usable tells whether there is a certificate that the server can show.
func (i Info) Usable() bool { return i.Fingerprint != "" }

// Infos describes the certificates in the order of the configuration.
func (s *Store) Infos() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return describe(s.entries, time.Now())
}

// Inspect describes what a store would have with opts, faults included.
func Inspect(opts Options) []Info {
	var entries []*entry
	for _, pair := range opts.Files {
		e := &entry{pair: pair}
		_ = e.read() // it is in e.err
		entries = append(entries, e)
	}
	now := time.Now()
	infos := describe(append(entries, opts.ACME.entries(now)...), now)
	for i := range infos {
		infos[i].NextTry = time.Time{} // only a running server knows
	}
	return infos
}

func describe(entries []*entry, now time.Time) []Info {
	var all []*certificate
	for _, e := range entries {
		if e.cert != nil {
			all = append(all, e.cert)
		}
	}
	sh := arrange(all)
	infos := make([]Info, 0, len(entries))
	for _, e := range entries {
		i := Info{File: e.pair.Cert, Key: e.pair.Key, Names: []string{}, ShownFor: []string{}, Problems: []string{}}
		if c := e.cert; c != nil {
			leaf := c.leaf()
			i.Names, i.Issuer, i.SelfSigned = c.names(), issuer(leaf), c.selfSigned()
			i.NotBefore, i.NotAfter, i.KeyType, i.Fingerprint = leaf.NotBefore, leaf.NotAfter, c.keyType(), c.fingerprint()
			i.Default = leads(sh.first, c)
			for _, name := range c.hosts() {
				if leads(sh.byName[name], c) {
					i.ShownFor = append(i.ShownFor, name)
				}
			}
			if !now.Before(leaf.NotAfter) {
				i.Problems = append(i.Problems, "it has expired")
			}
			i.Problems = append(i.Problems, c.problems(now)...)
		}
		if e.err != nil {
			i.Error = e.err.Error()
		}
		if r := e.renewal; r != nil {
			i.ACME, i.NextTry = true, r.due
			if e.cert == nil {
				i.Names = r.names
			}
		}
		infos = append(infos, i)
	}
	return infos
}

// leads tells whether c is the first of its kind of key in a list.
func leads(list []*certificate, c *certificate) bool {
	i := slices.IndexFunc(list, func(other *certificate) bool { return other.class() == c.class() })
	return i >= 0 && list[i] == c
}
