package server

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
)

// suites returns the short names of what a list leaves, as E or R for the
// certificate and 1, 2 or C for the cipher.
func suites(c cipherChoice) string {
	var names []string
	for _, id := range c.ids {
		name := tls.CipherSuiteName(id)
		short := "R"
		if strings.Contains(name, "ECDSA") {
			short = "E"
		}
		switch {
		case strings.Contains(name, "AES_128"):
			short += "1"
		case strings.Contains(name, "AES_256"):
			short += "2"
		default:
			short += "C"
		}
		names = append(names, short)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestParseCiphers(t *testing.T) {
	const all = "E1 E2 EC R1 R2 RC"
	for text, want := range map[string]string{
		"":                                    all,
		"HIGH":                                all,
		"HIGH:MEDIUM:+TLSv1:!SSLv2:!SSLv3":    all,
		"HIGH:MEDIUM:+TLSv1:!SSLv2:+SSLv3":    all,
		"-S:HIGH:MEDIUM:+TLSv1:!SSLv2:!SSLv3": all,
		"-C:HIGH":                             all,
		"HIGH:!aNULL:!MD5:!3DES:@STRENGTH":    all,
		"ALL:!AES128":                         "E2 EC R2 RC",
		"ALL:!AESGCM":                         "EC RC",
		"ALL:-CHACHA20":                       "E1 E2 R1 R2",
		"ALL:-CHACHA20:ECDHE-RSA-CHACHA20-POLY1305": "E1 E2 R1 R2 RC",
		"!CHACHA20:ALL":                            "E1 E2 R1 R2",
		"ECDHE+AESGCM":                             "E1 E2 R1 R2",
		"ECDHE+aRSA+AES256":                        "R2",
		"ECDHE-RSA-AES256-GCM-SHA384":              "R2",
		"ecdhe-rsa-aes256-gcm-sha384":              "R2",
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256":  "E1",
		"AES128-SHA:ECDHE-ECDSA-AES256-GCM-SHA384": "E2",
		"DHE-RSA-AES256-SHA256 ECDHE-RSA-AES128-SHA256 ECDHE-RSA-AES128-GCM-SHA256": "R1",
		"TLS_AES_256_GCM_SHA384":                             "",
		"TLS_AES_256_GCM_SHA384:ECDHE-RSA-AES256-GCM-SHA384": "R2",
		"SUITEB128:HIGH":                                     all,
	} {
		c, err := parseCiphers(text)
		if err != nil || suites(c) != want {
			t.Errorf("%s leaves %q, %v; want %q", text, suites(c), err, want)
		}
		if c.demands != strings.HasPrefix(text, "-C:") {
			t.Errorf("%s demands a certificate: %v", text, c.demands)
		}
	}
	for text, word := range map[string]string{
		"HIHG": `"HIHG" is no cipher suite`, "HIGH:!FOO": `"FOO" is no`, "RC4": `"RC4" leaves no`, "-ALL": "leaves no",
		"AES128-SHA": "leaves no", "HIGH:!ALL": "leaves no", "MEDIUM": "leaves no", "AES-999": "is no", "-X:HIGH": "is no", "!": "is no",
	} {
		_, err := parseCiphers(text)
		if err == nil || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "ECDHE-RSA-AES128-GCM-SHA256") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestCiphersAuthenticate holds the table to what it says of itself.
func TestCiphersAuthenticate(t *testing.T) {
	for _, s := range cipherSuites {
		i := slices.IndexFunc(tls.CipherSuites(), func(k *tls.CipherSuite) bool { return k.ID == s.id })
		if i < 0 || tls.CipherSuites()[i].Name != s.name || strings.Contains(s.name, "CBC") || !strings.Contains(s.name, "ECDHE") {
			t.Errorf("%s is not what the table says", s.name)
		}
		if ids, ok := suitesOf(s.own); !ok || !slices.Equal(ids, []uint16{s.id}) {
			t.Errorf("%s means %v", s.own, ids)
		}
	}
}

// FuzzParseCiphers: whatever an administrator writes, what is left is offered
// suites, and something is left.
func FuzzParseCiphers(f *testing.F) {
	f.Add("HIGH:!aNULL")
	f.Add("-C:ECDHE+AESGCM:@SECLEVEL=2")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCiphers(text)
		if err == nil && len(c.ids) == 0 && !strings.Contains(strings.ToUpper(text), "TLS_") {
			t.Errorf("%q leaves nothing", text)
		}
	})
}
