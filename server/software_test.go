package server

import (
	"strings"
	"testing"
)

// TestSoftware tells clients by what they say, or by how they begin.
func TestSoftware(t *testing.T) {
	for _, tt := range []struct {
		client, alpn, commands string
		want                   string
	}{
		{"", "", "USER PASS PBSZ PROT TYPE PASV RETR", "unknown, begins as Python's ftplib, Java's commons-net"},
		{"", "", "USER PASS PBSZ PROT PWD EPSV", "unknown, begins as curl"},
		{"", "", "USER PASS PBSZ PROT SYST PWD TYPE", "unknown, begins as wget"},
		{"", "", "PBSZ PROT USER PASS PASV TYPE", "unknown, begins as PHP, Perl's Net::FTP"},
		{"", "", "FEAT USER PASS NOOP PBSZ PROT TYPE", "unknown"},
		{"", "", "USER PASS", "unknown"},
		{"", "", "", "unknown"},
		{"lftp/4.9", "", "CLNT USER PASS PBSZ PROT PWD", "lftp/4.9"},
		{"", "ftp x-filezilla-ftp", "USER PASS PBSZ PROT TYPE", "FileZilla"},
	} {
		s := &session{client: tt.client}
		s.observe(lookup("FEAT")) // in clear, where nothing is counted
		s.tls = &secured{alpn: strings.Fields(tt.alpn)}
		for verb := range strings.FieldsSeq(tt.commands) {
			s.observe(lookup(verb))
		}
		for range 100 {
			s.observe(lookup("NOOP"))
		}
		if got := s.software(); got != tt.want {
			t.Errorf("%q %q: %q, want %q", tt.alpn, tt.commands, got, tt.want)
		}
		if len(s.opening) > openingLength+5 {
			t.Errorf("%d bytes are kept of %q", len(s.opening), tt.commands)
		}
	}
}
