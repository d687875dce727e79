package logparse

import (
	"slices"
	"strconv"
)

// String returns the word for an event, as JSON has it.
func (e Event) String() string {
	if int(e) < len(jsonEvents) {
		return jsonEvents[e]
	}
	return strconv.Itoa(int(e))
}

// EventNames returns the words for all events.
func EventNames() []string { return slices.Clone(jsonEvents) }

// FindEvent returns the event of that name.
func FindEvent(name string) (Event, bool) {
	i := slices.Index(jsonEvents, name)
	return Event(max(i, 0)), i >= 0
}

// String returns the word for how something ended, as JSON has it; "" for what is
// not known.
func (s Status) String() string {
	if int(s) < len(jsonStatus) {
		return jsonStatus[s]
	}
	return strconv.Itoa(int(s))
}

// StatusNames returns the words for all ends.
func StatusNames() []string { return slices.Clone(jsonStatus[Whole:]) }

// FindStatus returns the end of that name.
func FindStatus(name string) (Status, bool) {
	i := slices.Index(jsonStatus, name)
	return Status(max(i, 0)), i > 0
}

// fieldWords are the names of fields, and what shows that an entry has one.
var fieldWords = []struct {
	field Fields
	name  string
	has   func(*Entry) bool
}{
	{SaysDirection, "direction", func(e *Entry) bool { return e.Event == Transfer && e.Direction != 0 }},
	{SaysStatus, "status", func(e *Entry) bool { return e.Event == Transfer && (e.Status == Cut || e.Status == Failed) }},
	{SaysDoubt, "doubtful status", func(e *Entry) bool { return e.Status == Doubtful }},
	{SaysTook, "duration", func(e *Entry) bool { return e.Took > 0 }},
	{SaysExactly, "fractions of seconds", func(e *Entry) bool { return e.Time.Nanosecond() != 0 || e.Took%1e9 != 0 }},
	{SaysBytes, "bytes", func(e *Entry) bool { return e.Bytes > 0 }},
	{SaysHost, "host", func(e *Entry) bool { return e.Host != "" }},
	{SaysUser, "user", func(e *Entry) bool { return e.User != "" }},
	{SaysPath, "path", func(e *Entry) bool { return e.Path != "" }},
	{SaysTo, "new name", func(e *Entry) bool { return e.To != "" }},
	{SaysSession, "session", func(e *Entry) bool { return e.Session != "" }},
	{SaysPID, "process id", func(e *Entry) bool { return e.PID != 0 }},
	{SaysOffset, "offset", func(e *Entry) bool { return e.Offset != 0 }},
	{SaysSize, "size of the file", func(e *Entry) bool { return e.Size != 0 }},
	{SaysRate, "rate", func(e *Entry) bool { return e.Rate > 0 && e.Took == 0 }}, // or else the duration says it
	{SaysTLS, "TLS", func(e *Entry) bool { return e.TLS != "" || e.Cipher != "" }},
	{SaysClient, "client software", func(e *Entry) bool { return e.Client != "" }},
	{SaysReason, "reason", func(e *Entry) bool { return e.Reason != "" }},
	{SaysCommand, "command", func(e *Entry) bool { return e.Command != "" }},
	{SaysCode, "reply code", func(e *Entry) bool { return e.Code != 0 }},
	{SaysText, "text", func(e *Entry) bool { return e.Text != "" }},
	{SaysLevel, "level", func(e *Entry) bool { return e.Level != 0 }},
	{SaysASCII, "type", func(e *Entry) bool { return e.Xfer.ASCII }},
	{SaysMode, "mode", func(e *Entry) bool { return e.Xfer.Mode != 0 && e.Xfer.Mode != 'r' }},
	{SaysXfer, "flags, service, auth and ident", func(e *Entry) bool {
		return e.Xfer.Flags != "" || e.Xfer.Service != "" && e.Xfer.Service != "ftp" || e.Xfer.Group != "" || e.Xfer.Ident != ""
	}},
}

// Lost returns what an entry says and a format has no room for. What goes without
// saying, such as that a transfer is whole, is not lost.
func (f *Format) Lost(e *Entry) (lost Fields) {
	for i := range fieldWords {
		if w := &fieldWords[i]; f.Says&w.field == 0 && w.has(e) {
			lost |= w.field
		}
	}
	return lost
}

// Names returns the names of fields.
func (s Fields) Names() (names []string) {
	for _, w := range fieldWords {
		if s&w.field != 0 {
			names = append(names, w.name)
		}
	}
	return names
}
