package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"portreeve/server/session"
)

// markup escapes text for XML and HTML, in attributes as well.
func markup(s string) string {
	if ascii(s) && !strings.ContainsAny(s, `&<>"`) {
		return s
	}
	return markupEscapes.Replace(withoutControls(s, '?'))
}

var markupEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// A whoFact is a value that XML and property list show under one name.
type whoFact struct{ name, value string }

// facts returns those of every session and those of its transfer.
func (r *whoRow) facts() (all, transfer []whoFact) {
	all = []whoFact{
		{"pid", r.id}, {"account", r.account}, {"time", r.seconds()}, {"state", r.state}, {"file", r.file},
		{"host", r.host}, {"localhost", r.local.Addr().String()}, {"localport", strconv.Itoa(int(r.local.Port()))},
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	switch r.moves {
	case session.Downloading:
		transfer = []whoFact{
			{"resume", number(r.resume)}, {"current_size", number(r.current)}, {"total_size", number(r.total)},
			{"percentage", strconv.Itoa(r.percent)}, {"bandwidth", number(r.rate)},
		}
	case session.Uploading:
		transfer = []whoFact{{"resume", number(r.resume)}, {"current_size", number(r.current)}, {"bandwidth", number(r.rate)}}
	}
	return all, transfer
}

func whoXML(w *bytes.Buffer, rows []whoRow) {
	w.WriteString(xmlHead + "<status>\n")
	for n := range rows {
		w.WriteString("  <client")
		all, transfer := rows[n].facts()
		for _, f := range append(all, transfer...) {
			w.WriteString(" " + f.name + `="` + markup(f.value) + `"`)
		}
		w.WriteString(" />\n")
	}
	w.WriteString("</status>\n")
}

func whoPlist(w *bytes.Buffer, rows []whoRow) {
	w.WriteString(xmlHead +
		`<!DOCTYPE plist PUBLIC "-//Apple Computer//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n" +
		"<plist version=\"1.0\">\n<dict>\n\t<key>user-info</key>\n\t<array>\n")
	for n := range rows {
		all, transfer := rows[n].facts()
		if transfer == nil { // the keys are there, without values
			transfer = []whoFact{{"resume", ""}, {"current_size", ""}, {"total_size", ""}, {"percentage", ""}, {"bandwidth", ""}}
		}
		w.WriteString("\t\t<dict>\n")
		for _, f := range append(all, transfer...) {
			w.WriteString("\t\t\t<key>" + f.name + "</key>\n\t\t\t<string>" + markup(f.value) + "</string>\n")
		}
		w.WriteString("\t\t</dict>\n")
	}
	w.WriteString("\t</array>\n</dict>\n</plist>\n")
}

const cgiHead = "Content-Type: text/html; charset=utf-8\r\n\r\n"

// whoCGI is what -c prints.
func whoCGI(w *bytes.Buffer, rows []whoRow) {
	w.WriteString(cgiHead)
	whoPart(w, rows)
}

// whoCGIPage is what a web server gets that runs us with no option.
func whoCGIPage(w *bytes.Buffer, rows []whoRow) {
	w.WriteString(cgiHead)
	whoPage(w, rows)
}

const pageHead = `<!DOCTYPE html>
<html lang="en">
<head>
 <meta charset="utf-8">
 <title>FTP server status</title>
 <style>
body { font: 0.9em sans-serif; margin: 1.5em; }
table { border-collapse: collapse; }
th, td { padding: 0.2em 0.7em; text-align: left; white-space: pre; }
thead th { border-bottom: 2px solid; }
tbody tr:nth-child(even) { background: #8881; }
 </style>
</head>
<body>
<h1>FTP server status</h1>
`

func whoPage(w *bytes.Buffer, rows []whoRow) {
	w.WriteString(pageHead)
	whoPart(w, rows)
	w.WriteString("</body>\n</html>\n")
}

// whoPart is the table alone, under the name that style sheets know it by.
func whoPart(w *bytes.Buffer, rows []whoRow) {
	w.WriteString("<div id=\"ftp-status\">\n <table>\n  <thead>\n   <tr>\n")
	for _, head := range []string{"PID", "Account", "Time", "State", "File name", "Remote host", "Kbytes", "Local host"} {
		fmt.Fprintf(w, "    <th scope=\"col\">%s</th>\n", head)
	}
	w.WriteString("   </tr>\n  </thead>\n  <tbody>\n")
	for n := range rows {
		r := &rows[n]
		fmt.Fprintf(w, "   <tr>\n    <th scope=\"row\">%s</th>\n", r.id)
		local := r.localAddr() + ":" + strconv.Itoa(int(r.local.Port()))
		for _, cell := range []string{r.account, r.clock(), r.state, r.file, r.host, r.kbytes(), local} {
			if cell = markup(cell); cell == "" {
				cell = "&nbsp;"
			}
			w.WriteString("    <td>" + cell + "</td>\n")
		}
		w.WriteString("   </tr>\n")
	}
	w.WriteString("  </tbody>\n </table>\n</div>\n")
}

func (r *whoRow) kbytes() string {
	switch r.moves {
	case session.Downloading:
		return fmt.Sprintf("%d/%d (%d%% - %d KB/s)", r.current/1024, r.total/1024, r.percent, r.rate/1024)
	case session.Uploading:
		return fmt.Sprintf("%d (%d KB/s)", r.current/1024, r.rate/1024)
	}
	return ""
}
