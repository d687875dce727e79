package server

import (
	"fmt"
	"io"
	"strings"
)

// WriteProtocol writes the page of the manual that lists what is spoken here, in
// Markdown, from the table of commands.
func WriteProtocol(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Commands\n\nWhat the server understands. Names may be written in any case.\n\n")
	b.WriteString("| Command | Argument and meaning | Before login | During a transfer | Standard |\n|---|---|---|---|---|\n")
	standing := DefaultConfig()
	for _, c := range commands {
		name := "`" + c.name + "`"
		for _, also := range c.also {
			name += ", `" + also + "`"
		}
		help := strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;").Replace(c.help)
		if !c.offered(&standing) {
			help += " (off by default)"
		}
		when := "waits"
		switch {
		case c.need&during != 0:
			when = "at once, without an argument"
		case c.need&ends != 0:
			when = "at once"
		}
		standard := "practice"
		switch {
		case strings.HasPrefix(c.rfc, "draft"):
			standard = c.rfc
		case c.rfc != "none":
			standard = "RFC " + strings.ReplaceAll(c.rfc, ", ", ", RFC ")
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, help, yesOrNo(c.need&preAuth != 0), when, standard)
	}
	b.WriteString("\nKnown, but not offered (502): " + strings.Join(notHere, " ") + ".\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func yesOrNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
