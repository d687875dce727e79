package server

import (
	"strings"
	"testing"
)

func TestCharsetDirectives(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"ClientCharset bigg5", `ClientCharset: no charset is called that: "bigg5"; did you mean Big5?`},
		{"FileSystemCharset klingon", "names are those of iconv"},
		{"ClientCharset UTF-16", "not a superset of ASCII"},
		{"FileSystemCharset EUC-TW", "no charset is called that"},
		{"FileSystemCharset HZ", "FileSystemCharset: HZ-GB-2312 writes other characters with slashes and escapes"},
		{"ClientCharset HZ", ""},
		{"FileSystemCharset utf8", ""},
	} {
		cfg := DefaultConfig()
		_, err := Directives.Read(&cfg, strings.NewReader(tt.line), "test")
		if err == nil {
			err = cfg.Validate()
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.line, err, tt.want)
		}
	}
}
