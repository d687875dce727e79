package stats

import (
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"portreeve/logparse"
)

// A Dimension is what a report can be by.
type Dimension struct {
	Name, Title, Help string
	// Ordered tells that its keys have an order in which they are shown; others are
	// shown best first.
	Ordered bool

	of base
	// key tells an entry's; of the entry only what its base has is there, and its
	// time is by the clocks of the report's zone.
	key func(o *Options, e *logparse.Entry) string
}

// A base is what of an entry is summed up in any case; what the reports are by that
// follow from it costs nothing for each line.
type base uint8

const (
	byNothing base = iota // only on demand, from whole entries
	byUser
	byHost
	byFile
	byHour
	byKind
)

// Dimensions are all that there are.
var Dimensions = []Dimension{
	{"user", "Users", "who transferred", false, byUser, func(_ *Options, e *logparse.Entry) string { return e.User }},
	{"host", "Hosts", "from where", false, byHost, func(_ *Options, e *logparse.Entry) string { return e.Host }},
	{"network", "Networks", "from which network: IPv4 by 24 bits, IPv6 by 64", false, byHost, func(_ *Options, e *logparse.Entry) string { return network(e.Host) }},
	{"domain", "Domains", "the last two parts of the names of hosts", false, byHost, func(_ *Options, e *logparse.Entry) string { return domain(e.Host) }},
	{"directory", "Directories", "in which directory, to a depth", false, byFile, func(o *Options, e *logparse.Entry) string { return directory(e.Path, o.Depth) }},
	{"file", "Files", "which file", false, byFile, func(_ *Options, e *logparse.Entry) string { return e.Path }},
	{"extension", "Kinds of file", "by the ending of the file's name", false, byFile, func(_ *Options, e *logparse.Entry) string { return extension(e.Path) }},
	{"hour", "Hours of the day", "at which hour", true, byHour, func(_ *Options, e *logparse.Entry) string { return pad(e.Time.Hour()) }},
	{"weekday", "Days of the week", "on which day of the week", true, byHour, func(_ *Options, e *logparse.Entry) string {
		return strconv.Itoa((int(e.Time.Weekday())+6)%7+1) + " " + e.Time.Weekday().String()
	}},
	{"day", "Days", "on which day", true, byHour, func(_ *Options, e *logparse.Entry) string { return e.Time.Format(time.DateOnly) }},
	{"week", "Weeks", "in which week, as ISO 8601 counts them", true, byHour, func(_ *Options, e *logparse.Entry) string {
		year, week := e.Time.ISOWeek()
		return strconv.Itoa(year) + "-W" + pad(week)
	}},
	{"month", "Months", "in which month", true, byHour, func(_ *Options, e *logparse.Entry) string { return e.Time.Format("2006-01") }},
	{"monthday", "Days of the month", "on which day of the month", true, byHour, func(_ *Options, e *logparse.Entry) string { return pad(e.Time.Day()) }},
	{"direction", "Directions", "upload, download or delete", false, byKind, func(_ *Options, e *logparse.Entry) string { return direction(e) }},
	{"outcome", "Outcomes", "complete, incomplete, failed or doubtful", false, byKind, func(_ *Options, e *logparse.Entry) string { return outcome(e.Status) }},
	{"reason", "Reasons", "why a transfer ended as it did, where the log tells", false, byKind, func(_ *Options, e *logparse.Entry) string { return told(e.Reason) }},
	{"account", "Accounts", "anonymous, guest or real", false, byKind, func(_ *Options, e *logparse.Entry) string { return account(e.Xfer.Mode) }},
	{"type", "Types", "ASCII or binary", false, byKind, func(_ *Options, e *logparse.Entry) string {
		if e.Xfer.ASCII {
			return "ascii"
		}
		return "binary"
	}},
	{"protocol", "Protocols", "the service, and which TLS", false, byKind, func(_ *Options, e *logparse.Entry) string { return protocol(e) }},
	{"client", "Clients", "the software at the other end, where the log tells", false, byKind, func(_ *Options, e *logparse.Entry) string { return told(e.Client) }},
	{"size", "Sizes", "the size of what was moved", true, byNothing, func(_ *Options, e *logparse.Entry) string { return sizeClass(e.Bytes) }},
	{"rate", "Rates", "how fast, where that can be told", true, byNothing, func(_ *Options, e *logparse.Entry) string { return rateClass(e) }},
}

// FindDimension returns the dimension of that name.
func FindDimension(name string) (Dimension, bool) {
	for _, d := range Dimensions {
		if d.Name == name {
			return d, true
		}
	}
	return Dimension{}, false
}

func pad(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

// network is where an address is, or the name of a host.
func network(host string) string {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 24
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return host
	}
	return prefix.String()
}

// noDomain is the domain of what is no name.
const noDomain = "(addresses)"

// domain is the end of a host's name. Of an address nothing is guessed.
func domain(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return noDomain
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	last := strings.LastIndexByte(host, '.')
	if last < 0 {
		return host
	}
	return host[strings.LastIndexByte(host[:last], '.')+1:]
}

// directory is where a file is, not deeper than that.
func directory(file string, depth int) string {
	dir := file[:strings.LastIndexByte(file, '/')+1]
	for i := range len(dir) {
		if dir[i] == '/' && i > 0 {
			if depth--; depth == 0 {
				return dir[:i]
			}
		}
	}
	if len(dir) > 1 {
		return dir[:len(dir)-1]
	}
	return dir
}

// maxExtension is how long an ending of a name is believed to tell a kind.
const maxExtension = 12

func extension(file string) string {
	name := file[strings.LastIndexByte(file, '/')+1:]
	ext := path.Ext(name)
	if len(ext) < 2 || len(ext) > maxExtension || len(ext) == len(name) {
		return "(none)"
	}
	return strings.ToLower(ext)
}

func direction(e *logparse.Entry) string {
	switch {
	case e.Event == logparse.Delete:
		return "delete"
	case e.Direction == logparse.Upload:
		return "upload"
	}
	return "download"
}

func outcome(s logparse.Status) string {
	switch s {
	case logparse.Whole:
		return "complete"
	case logparse.Cut:
		return "incomplete"
	case logparse.Failed:
		return "failed"
	case logparse.Doubtful:
		return "doubtful"
	}
	return notTold
}

// notTold is the key of what a log does not say.
const notTold = "(not told)"

func told(text string) string {
	if text == "" {
		return notTold
	}
	return text
}

func account(mode byte) string {
	switch mode {
	case 'a':
		return "anonymous"
	case 'g':
		return "guest"
	}
	return "real"
}

func protocol(e *logparse.Entry) string {
	service := e.Xfer.Service
	if service == "" {
		service = "ftp"
	}
	if e.TLS != "" {
		return service + " " + e.TLS
	}
	return service
}

// sizeClass names the power of four that a size is below, in such an order that
// names sort.
func sizeClass(n int64) string {
	class := sizeOf(n)
	switch {
	case n <= 0:
		return pad(0) + " empty"
	case class == len(sizeBounds):
		return pad(class+1) + " " + power(sizeBounds[class-1]) + " and more"
	}
	return pad(class+1) + " below " + power(sizeBounds[class])
}

func rateClass(e *logparse.Entry) string {
	rate, ok := rateOf(e)
	if !ok {
		return notTold
	}
	class := rateClassOf(rate)
	if class == len(rateBounds) {
		return pad(class) + " " + power(rateBounds[class-1]) + "/s and more"
	}
	return pad(class) + " below " + power(rateBounds[class]) + "/s"
}

// power writes a power of two.
func power(n int64) string {
	const units = " KMGTPE"
	i := 0
	for n >= 1024 {
		n /= 1024
		i++
	}
	if i == 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatInt(n, 10) + " " + units[i:i+1] + "iB"
}
