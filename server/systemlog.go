package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	registry "portreeve/server/session"
	"portreeve/server/syslog"
)

// The system's log gets what the daemon logs in the words and at the levels of
// Pure-FTPd, which scripts, filters and reports of others look for. What
// Pure-FTPd has no words for goes as it is. So there is one place where it is
// logged that something happens, and it does not know who reads it.

// NewSystemLog makes a handler that words records for the system's log and hands
// them to send.
func NewSystemLog(level slog.Leveler, send func(syslog.Level, time.Time, string)) slog.Handler {
	return &systemLog{level: level, send: send, who: "?", from: "?"}
}

// A systemLog is a handler with what is known of the session it logs for.
type systemLog struct {
	level slog.Leveler
	send  func(syslog.Level, time.Time, string)

	who, from string // of the session
	place     place
	rest      []slog.Attr
}

func (h *systemLog) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *systemLog) WithGroup(string) slog.Handler { return h } // no name is the same in two groups

func (h *systemLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.rest = append([]slog.Attr{}, h.rest...)
	for _, a := range attrs {
		p, ok := a.Value.Any().(place)
		switch {
		case ok:
			n.place = p
		case a.Key == "user":
			n.who = a.Value.String()
		case a.Key == "addr":
			n.from = a.Value.String()
		default:
			n.rest = append(n.rest, a)
		}
	}
	return &n
}

func (h *systemLog) Handle(_ context.Context, r slog.Record) error {
	e := event{systemLog: h, attrs: make(map[string]slog.Value, r.NumAttrs())}
	r.Attrs(func(a slog.Attr) bool {
		e.attrs[a.Key] = a.Value
		return true
	})
	level, text := generic(r.Level), ""
	if w, ok := words[r.Message]; ok {
		level, text = w(e)
	}
	if text == "" {
		text = h.plainly(r)
	}
	h.send(level, r.Time, fmt.Sprintf("(%s@%s) [%s] %s", defused(h.who), h.from, level, text))
	return nil
}

// generic is the level of a record that has no words of its own.
func generic(l slog.Level) syslog.Level {
	switch {
	case l >= slog.LevelError:
		return syslog.Error
	case l >= slog.LevelWarn:
		return syslog.Warning
	case l >= slog.LevelInfo:
		return syslog.Info
	}
	return syslog.Debug
}

// plainly words a record that Pure-FTPd has no words for.
func (h *systemLog) plainly(r slog.Record) string {
	var b strings.Builder
	b.WriteString(defused(r.Message))
	add := func(a slog.Attr) bool {
		if text := a.Value.Resolve().String(); text != "" {
			fmt.Fprintf(&b, " %s=%q", a.Key, defused(text))
		}
		return true
	}
	for _, a := range h.rest {
		add(a)
	}
	r.Attrs(add)
	return b.String()
}

// defused takes from what a client may have chosen all that could end a line,
// and what could be taken for the beginning of another: programs that lock out
// addresses look for "user@address) [WARNING] ..." wherever it stands.
func defused(text string) string {
	clean := []byte(text) // names need not be UTF-8
	for i, c := range clean {
		if c < ' ' || c == 0x7f {
			clean[i] = '_'
		}
	}
	return strings.ReplaceAll(string(clean), ") [", ")_[")
}

// A place is where on the host the paths of a session begin. Only the system's
// log shows it, since others write down the result of LogValue.
type place struct{ root string }

// LogValue is an empty group, which is left out.
func (place) LogValue() slog.Value { return slog.GroupValue() }

// A stretch is a duration that logs show to the millisecond.
type stretch time.Duration

// LogValue rounds it.
func (d stretch) LogValue() slog.Value {
	return slog.DurationValue(time.Duration(d).Round(time.Millisecond))
}

// An event is a record with the session it is of.
type event struct {
	*systemLog
	attrs map[string]slog.Value
}

// text returns an attribute as it may stand in a line.
func (e event) text(key string) string { return defused(e.raw(key)) }

func (e event) raw(key string) string {
	if v, ok := e.attrs[key]; ok {
		return v.Resolve().String()
	}
	return ""
}

// path is a path of the client on the host: between the root and what the client
// sees Pure-FTPd puts a slash of its own.
func (e event) path(key string) string {
	if e.place.root == "" || e.place.root == "/" {
		return e.text(key)
	}
	return defused(e.place.root) + "/" + e.text(key)
}

// amount is the size of a transfer and its rate, behind two blanks.
func (e event) amount() string {
	took, _ := e.attrs["took"].Any().(stretch)
	bytes := e.attrs["bytes"].Int64()
	rate := float64(bytes) / 1024 / max(time.Duration(took), time.Microsecond).Seconds()
	return fmt.Sprintf("  (%d bytes, %.2fKB/sec)", bytes, rate)
}

// Messages that stand in the table below and are logged elsewhere.
const (
	leftAtOnce     = "uploaded by a client that left at once; it may be a part"
	withoutTLSEnd  = "uploaded by a client that did not end TLS; it may be a part"
	transferFailed = "transfer failed"
	commandFailed  = "command failed"
)

// words are Pure-FTPd's, by what the daemon logs. No text is none for that.
var words = map[string]func(event) (syslog.Level, string){
	"connected":    func(e event) (syslog.Level, string) { return syslog.Info, "New connection from " + e.from },
	"logged in":    loggedIn,
	"login failed": loginFailed,
	"logged out":   func(event) (syslog.Level, string) { return syslog.Info, "Logout." },
	"disconnected": disconnected,
	"refused":      refused,
	"uploaded":     moved("uploaded"),
	leftAtOnce:     moved("uploaded"),
	withoutTLSEnd:  moved("uploaded"),
	"downloaded":   moved("downloaded"),
	transferFailed: broken,
	"deleted":      func(e event) (syslog.Level, string) { return syslog.Notice, "Deleted " + e.path("path") },
	"renamed":      renamed,
	"command":      commanded,
	"reply":        replied,
	"TLS":          enabledTLS,
	commandFailed:  failedTo,
	"restarting":   func(e event) (syslog.Level, string) { return syslog.Notice, "Restarting at " + e.text("at") },

	"too many failed logins": func(event) (syslog.Level, string) { return syslog.Error, "Too many authentication failures" },
	"opening the home":       func(event) (syslog.Level, string) { return syslog.Error, "Home directory not available - aborting" },
}

func loggedIn(e event) (syslog.Level, string) {
	if _, ok := e.attrs["mail"]; !ok {
		return syslog.Info, e.text("user") + " is now logged in"
	}
	if host := e.text("host"); host != "" {
		return syslog.Info, "Anonymous user logged in the virtual FTP: " + host
	}
	return syslog.Info, "Anonymous user logged in"
}

// loginFailed has the words that fail2ban looks for.
func loginFailed(e event) (syslog.Level, string) {
	return syslog.Warning, "Authentication failed for user [" + e.text("user") + "]"
}

func disconnected(e event) (syslog.Level, string) {
	why, _ := e.attrs["why"].Any().(error)
	if errors.Is(why, errIdle) || errors.Is(why, errLoginTimeout) {
		return syslog.Info, "Timeout - try typing a little faster next time"
	}
	return syslog.Info, "Logout."
}

// refused is of connections; commands that are refused have no words.
func refused(e event) (syslog.Level, string) {
	err, _ := e.attrs["err"].Any().(error)
	limit, ok := errors.AsType[*registry.LimitError](err)
	addr, known := e.attrs["addr"].Any().(netip.Addr)
	if !ok || !known || !errors.Is(limit, registry.ErrHostFull) {
		return generic(slog.LevelInfo), ""
	}
	return syslog.Warning, fmt.Sprintf("Too many connections (%d) from this IP: [%s]", limit.Max, addr)
}

func moved(how string) func(event) (syslog.Level, string) {
	return func(e event) (syslog.Level, string) {
		return syslog.Notice, e.path("path") + " " + how + e.amount()
	}
}

// broken has words of ours: Pure-FTPd says of a part that it was moved, and who
// reads that takes it for the whole.
func broken(e event) (syslog.Level, string) {
	return syslog.Notice, fmt.Sprintf("%s: %s cut short%s: %s", e.path("path"), e.text("cmd"), e.amount(), e.text("err"))
}

func renamed(e event) (syslog.Level, string) {
	return syslog.Notice, "File successfully renamed or moved: [" + e.text("path") + "]->[" + e.text("to") + "]"
}

// commanded has the verb in lower case, and what is secret is <*>.
func commanded(e event) (syslog.Level, string) {
	verb, arg, _ := strings.Cut(e.text("cmd"), " ")
	if arg == hidden {
		arg = "<*>"
	}
	return syslog.Debug, "Command [" + strings.ToLower(verb) + "] [" + arg + "]"
}

func replied(e event) (syslog.Level, string) {
	return syslog.Debug, e.text("code") + " " + e.text("text")
}

// failedTo has the reason as the system words it, and what the client called the
// file.
func failedTo(e event) (syslog.Level, string) {
	err, _ := e.attrs["err"].Any().(error)
	why := systemReason(err)
	switch e.raw("cmd") {
	case "RETR":
		return syslog.Error, "Can't open " + e.text("path") + ": " + why
	case "STOR", "STOU", "APPE":
		return syslog.Error, "Can't open that file: " + why
	case "MKD":
		return syslog.Error, "Can't create directory: " + why
	case "RMD":
		return syslog.Error, "Can't remove directory: " + why
	case "RNTO":
		return syslog.Error, "Rename/move failure: " + why
	case "CWD":
		return syslog.Info, "Can't change directory to " + e.text("path") + ": " + why
	}
	return syslog.Debug, ""
}

// systemReason is an error without what was attempted, which begins with a capital.
func systemReason(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	if err == nil {
		return "?"
	}
	text := defused(err.Error())
	return strings.ToUpper(text[:1]) + text[1:]
}

func enabledTLS(e event) (syslog.Level, string) {
	bits, cipher := 256, opensslName(e.text("cipher"))
	if strings.Contains(cipher, "AES_128") || strings.Contains(cipher, "AES128") {
		bits = 128
	}
	version := strings.ReplaceAll(e.raw("version"), "TLS ", "TLSv")
	return syslog.Info, fmt.Sprintf("TLS: Enabled %s with %s, %d secret bits cipher", version, cipher, bits)
}
