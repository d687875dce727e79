package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/pflag"

	"portreeve/server/session"
)

// The formats are pure-ftpwho's, since scripts and eyes are used to them. They
// differ where those are broken: frames fit their rows, quotes are escaped, the
// charset declared is the one used, and nothing that a client named can steer a
// terminal or break a line.

// A whoFormat prints rows.
type whoFormat func(w *bytes.Buffer, rows []whoRow)

// addWhoFormats adds a flag for each format; the last one given wins.
func addWhoFormats(fs *pflag.FlagSet, format *whoFormat) {
	for _, f := range []struct {
		name, short, help string
		format            whoFormat
	}{
		{"verbose", "v", "table with sizes and the server's address", whoVerboseTable},
		{"shell", "s", "one line a session, fields separated by |: id, account, seconds, state, file, client, server, port, KB so far, KB in all, percent, KB/s", whoShell},
		{"xml", "x", "XML", whoXML},
		{"plist", "p", "property list of Apple and GNUstep", whoPlist},
		{"html", "w", "page of HTML", whoPage},
		{"html-part", "W", "part of such a page, to put into another", whoPart},
		{"cgi", "c", "as -W, for a web server that runs it as a CGI program", whoCGI},
		{"cgi-mode", "C", "the same as -c", whoCGI},
	} {
		fs.BoolFuncP(f.name, f.short, f.help, func(value string) error {
			on, err := strconv.ParseBool(value)
			if on {
				*format = f.format
			}
			return err
		})
		if err := fs.SetAnnotation(f.name, formatMark, nil); err != nil {
			panic(err) // the flag was just made
		}
	}
}

// formatMark is set on flags that choose a format.
const formatMark = "format"

func formatGiven(fs *pflag.FlagSet) (given bool) {
	fs.Visit(func(f *pflag.Flag) {
		_, marked := f.Annotations[formatMark]
		given = given || marked
	})
	return given
}

// A whoRow is a session in pure-ftpwho's terms.
type whoRow struct {
	id      string
	account string // "?" before login
	age     time.Duration
	state   string // four characters
	file    string
	host    string // client
	local   netip.AddrPort

	// Of a transfer that has begun to move bytes, and if a download knows its
	// size; otherwise moves is 0 and so is all.
	moves                  session.State
	resume, current, total int64
	percent                int
	rate                   int64 // average
}

func whoRows(infos []session.Info, names map[netip.Addr]string, now time.Time) []whoRow {
	rows := make([]whoRow, len(infos))
	for n := range infos {
		i, r := &infos[n], &rows[n]
		*r = whoRow{
			id:      i.ID.String(),
			account: i.User,
			age:     max(0, now.Sub(i.Started)),
			state:   "IDLE", // a listing is idle, too, there
			host:    names[i.Remote.Addr()],
			local:   i.Local,
		}
		if r.account == "" {
			r.account = "?"
		}
		if r.host == "" {
			r.host = i.Remote.Addr().String()
		}
		r.transfer(i)
	}
	return rows
}

func (r *whoRow) transfer(i *session.Info) {
	current := i.Offset + i.Moved
	switch i.State {
	case session.Downloading:
		r.state, r.file = " DL ", i.Path
		if current == 0 || i.Size <= 0 {
			return
		}
		r.total, r.percent = i.Size, i.Percent()
	case session.Uploading: // how much there will be is not told
		r.state, r.file = " UL ", i.Path
		if current == 0 {
			return
		}
	default:
		return
	}
	r.moves, r.resume, r.current, r.rate = i.State, i.Offset, current, i.RateAvg
}

func (r *whoRow) seconds() string { return strconv.FormatInt(int64(r.age/time.Second), 10) }

func (r *whoRow) clock() string {
	minutes := int(r.age / time.Minute)
	b := make([]byte, 0, 8)
	if minutes < 10*60 {
		b = append(b, '0')
	}
	b = append(strconv.AppendInt(b, int64(minutes/60), 10), ':', '0'+byte(minutes%60/10), '0'+byte(minutes%10))
	return string(b)
}

// localAddr is the server's address, which unlike pure-ftpwho's can be told
// from its port for IPv6.
func (r *whoRow) localAddr() string {
	if addr := r.local.Addr(); addr.Is6() {
		return "[" + addr.String() + "]"
	}
	return r.local.Addr().String()
}

// whoShell prints fields for cut and sed. A bar or backslash inside a field has
// a backslash before it; a control character is an underscore.
func whoShell(w *bytes.Buffer, rows []whoRow) {
	escape := strings.NewReplacer(`\`, `\\`, `|`, `\|`)
	number := func(n int64, end byte) {
		w.Write(append(strconv.AppendInt(w.AvailableBuffer(), n, 10), end))
	}
	for n := range rows {
		r := &rows[n]
		for _, field := range []string{r.id, r.account, r.seconds(), r.state, r.file, r.host, r.local.Addr().String()} {
			w.WriteString(escape.Replace(withoutControls(field, '_')) + "|")
		}
		number(int64(r.local.Port()), '|')
		number(r.current/1024, '|')
		number(r.total/1024, '|')
		number(int64(r.percent), '|')
		number(r.rate/1024, '\n')
	}
}

// withoutControls replaces what could end a line or steer a terminal, and
// nothing else, so that names of all scripts stay what they are.
func withoutControls(s string, by rune) string {
	if ascii(s) {
		return s
	}
	return strings.Map(func(c rune) rune {
		if unicode.In(c, unicode.Cc, unicode.Zl, unicode.Zp) || c == 0xFFFE || c == 0xFFFF {
			return by
		}
		return c
	}, s)
}

func whoTable(w *bytes.Buffer, rows []whoRow) { writeWhoTable(w, rows, false) }

func whoVerboseTable(w *bytes.Buffer, rows []whoRow) { writeWhoTable(w, rows, true) }

// The table's columns, with the widths that they have in pure-ftpwho. A longer
// id, account, time or size widens its column; a longer file loses its head,
// and a longer host its tail.
var whoHeads = [...]string{" PID  ", "  Login  ", "For/Spd", " What ", "                 File/IP                   "}

const whoVerboseHead = "     File/Remote IP/Size(Kb)/Local IP      "

// whoWidths are those of the five cells, spaces included.
type whoWidths [len(whoHeads)]int

func writeWhoTable(w *bytes.Buffer, rows []whoRow, verbose bool) {
	heads := whoHeads
	if verbose {
		heads[4] = whoVerboseHead
	}
	var widths whoWidths
	for n, head := range heads {
		widths[n] = len(head)
	}
	for n := range rows {
		r := &rows[n]
		r.account, r.file, r.host = show(r.account), show(r.file), show(r.host)
		widths[0] = max(widths[0], len(r.id)+1)
		widths[1] = max(widths[1], cells(r.account)+1)
		widths[2] = max(widths[2], len(r.clock())+2)
		if verbose {
			widths[4] = max(widths[4], len(r.localAddr())+10)
		}
		if verbose && r.moves != 0 {
			widths[4] = max(widths[4], len(r.sizes())+1)
		}
	}
	frame := widths.frame()
	w.WriteString("\n" + frame)
	widths.row(w, heads)
	w.WriteString(frame)
	for n := range rows {
		widths.session(w, &rows[n], verbose)
		w.WriteString(frame)
	}
	w.WriteByte('\n')
}

func (ws *whoWidths) session(w *bytes.Buffer, r *whoRow, verbose bool) {
	const ditto0, ditto1 = "  ''  ", "    ''   "
	ws.row(w, [...]string{flushRight(r.id, ws[0]-1) + " ", " " + r.account, " " + r.clock() + " ",
		" " + r.state + " ", " " + tail(r.file, ws[4]-1)})
	rate, percent := "   ''  ", "  ''  "
	if r.rate > 0 {
		rate = speed(r.rate)
	}
	if r.moves == session.Downloading {
		percent = " " + flushRight(strconv.Itoa(r.percent), 3) + "% "
	}
	host := flushRight(head(r.host, ws[4]-4), ws[4]-4)
	ws.row(w, [...]string{ditto0, ditto1, rate, percent, " ->" + host + " "})
	if !verbose {
		return
	}
	if r.moves != 0 {
		ws.row(w, [...]string{ditto0, ditto1, "", "", " " + r.sizes()})
	}
	local := flushRight(r.localAddr(), ws[4]-10)
	ws.row(w, [...]string{ditto0, ditto1, "", "", fmt.Sprintf(" <-%s:%-5d ", local, r.local.Port())})
}

// sizes is the row of -v that tells them, in KB.
func (r *whoRow) sizes() string {
	if r.moves == session.Downloading {
		return fmt.Sprintf("Total size:%9d Transferred:%9d", r.total/1024, r.current/1024)
	}
	return fmt.Sprintf("Transferred: %-29d", r.current/1024)
}

func (ws *whoWidths) frame() string {
	var b strings.Builder
	for _, width := range ws {
		b.WriteString("+" + strings.Repeat("-", width))
	}
	return b.String() + "+\n"
}

func (ws *whoWidths) row(w *bytes.Buffer, texts [len(whoHeads)]string) {
	for n, text := range texts {
		w.WriteByte('|')
		w.WriteString(text)
		if pad := ws[n] - cells(text); pad > 0 {
			w.WriteString(strings.Repeat(" ", pad))
		}
	}
	w.WriteString("|\n")
}

// speed is seven characters up to 9999 GB/s.
func speed(rate int64) string {
	units := []string{"b/s", "K/s", "M/s", "G/s"}
	for rate >= 1024 && len(units) > 1 {
		rate, units = rate/1024, units[1:]
	}
	return flushRight(strconv.FormatInt(rate, 10), 4) + units[0]
}

// ascii reports whether each byte of s is one cell of a terminal and harmless.
// Most strings are so, and need not be asked of Unicode's tables.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// show is visible, and cells is columns, made fast for a list of thousands.
func show(s string) string {
	if ascii(s) {
		return s
	}
	return visible(s)
}

func cells(s string) int {
	if ascii(s) {
		return len(s)
	}
	return columns(s)
}

func flushRight(s string, width int) string {
	return strings.Repeat(" ", max(0, width-cells(s))) + s
}

// head cuts s to a width from the right.
func head(s string, width int) string {
	for cells(s) > width {
		runes := []rune(s)
		s = string(runes[:len(runes)-1])
	}
	return s
}

// tail cuts s to a width from the left, where a path says least, and shows it.
func tail(s string, width int) string {
	if cells(s) <= width {
		return s
	}
	runes := []rune(s)
	runes = runes[max(0, len(runes)-width):]
	for cells(string(runes)) > width-3 {
		runes = runes[1:]
	}
	return "..." + string(runes)
}
