package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAskPasswordOfAPipe(t *testing.T) {
	long := strings.Repeat("x", 600)
	tests := []struct {
		name, in  string
		want      string
		wantsErr  string
		wantsCode int
	}{
		{"two lines", "secret\nsecret\n", "secret", "", 0},
		{"blanks belong to it", " a b \n a b \n", " a b ", "", 0},
		{"no line end", "secret\nsecret", "secret", "", 0},
		{"more lines", "secret\nsecret\nother\n", "secret", "", 0},
		{"second time right", "a\nb\nc\nc\n", "c", "", 0},
		{"nothing", "", "", "standard input ended", exitUsage},
		{"one line", "secret\n", "", "standard input ended", exitUsage},
		{"empty", "\n\n", "", "an empty password is refused", exitUsage},
		{"too long", long + "\n" + long + "\n", "", "longer than", exitUsage},
		{"NUL", "a\x00b\na\x00b\n", "", "NUL", exitUsage},
		{"three times different", "a\nb\na\nb\na\nb\na\na\n", "", "twice", exitFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var said bytes.Buffer
			got, err := askPassword(t.Context(), &env{in: strings.NewReader(tt.in), err: &said})
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if tt.wantsErr == "" {
				if err != nil {
					t.Errorf("unexpected error: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.wantsErr) || exitCode(err) != tt.wantsCode {
				t.Errorf("error %v with code %d, not %q with code %d", err, exitCode(err), tt.wantsErr, tt.wantsCode)
			}
			if strings.Contains(said.String(), "Password:") {
				t.Errorf("a pipe was prompted: %q", said.String())
			}
			if len(tt.in) > 4 && err != nil && strings.Contains(err.Error(), strings.TrimSpace(tt.in[:5])) {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func TestAskPasswordIsInterrupted(t *testing.T) {
	r, w := io.Pipe() // into which nobody writes
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := askPassword(ctx, &env{in: r, err: io.Discard}); !errors.Is(err, errInterrupted) {
		t.Errorf("got %v", err)
	}
}

func TestClipped(t *testing.T) {
	for _, tt := range []struct {
		text  string
		width int
		want  string
	}{
		{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"許功蓋", 6, "許功蓋"}, {"許功蓋", 5, "許功…"}, {"許功蓋", 4, "許…"}, {"許功蓋", 3, "許…"}, {"許功蓋", 2, "…"},
	} {
		got := clipped(tt.text, tt.width)
		if got != tt.want || columns(got) > tt.width {
			t.Errorf("clipped(%q, %d) is %q of %d columns, not %q", tt.text, tt.width, got, columns(got), tt.want)
		}
	}
}

func TestHashKind(t *testing.T) {
	for hash, want := range map[string]string{"$7$C6....": "7", "$argon2id$v=19$m=8192": "argon2id", "": "", "!": "", "x": "", "!$6$x$y": "6"} {
		if got := hashKind(hash); got != want {
			t.Errorf("kind of %q is %q, not %q", hash, got, want)
		}
	}
}
