package server

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand"
	"strings"
	"testing"
)

// A model is what a client may expect of its files and of its session, said once
// more and as simply as can be. Random sequences of commands are run against both.
type model struct {
	t      testing.TB
	rand   *rand.Rand
	c      *client
	files  map[string]string
	ascii  bool
	zipped bool
	first  int  // REST or RANG
	last   int  // of RANG
	ranged bool // RANG
}

// What the client says is in here, so that a failure can be followed.
func (m *model) logf(format string, args ...any) { m.t.Logf(format, args...) }

// TestFilesAndMarkers: whatever a client does with REST, RANG, TYPE, MODE and the
// commands that move or compare files, each byte is where it belongs.
func TestFilesAndMarkers(t *testing.T) {
	for seed := range int64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, withModeZ, unlimited, func(c *Config) { c.NoTruncate = seed%2 == 0 })
				m := &model{t: t, rand: rand.New(rand.NewSource(seed)), c: r.login(), files: make(map[string]string), ascii: true}
				steps := []func(){m.rest, m.rang, m.mode, m.retr, m.retr, m.stor, m.stor, m.appe, m.hash, m.size, m.join, m.rename}
				for range 150 {
					steps[m.rand.Intn(len(steps))]()
					if m.check(r); t.Failed() {
						t.FailNow()
					}
				}
			})
		})
	}
}

// check compares every file.
func (m *model) check(r *rig) {
	m.t.Helper()
	for _, name := range modelNames {
		want, there := m.files[name]
		switch {
		case there != r.exists(name):
			m.t.Errorf("%s is there: %v", name, !there)
		case there && r.get(name) != want:
			m.t.Errorf("%s is %.60q, not %.60q", name, r.get(name), want)
		}
	}
	if r.leftovers() != 0 {
		m.t.Error("a hidden file is left")
	}
}

var modelNames = []string{"a", "b", "c"}

func (m *model) name() string { return modelNames[m.rand.Intn(len(modelNames))] }

// content has line ends of every kind.
func (m *model) content() string {
	pieces := []string{"\n", "\r\n", "\r", "\r\r\n", "text", "x", "\x00", "\xff"}
	var b strings.Builder
	for range m.rand.Intn(12) {
		b.WriteString(pieces[m.rand.Intn(len(pieces))])
	}
	if m.rand.Intn(12) == 0 { // more than is moved at once
		return strings.Repeat(b.String()+"-", smallest/8)
	}
	return b.String()
}

func (m *model) clear() { m.first, m.last, m.ranged = 0, 0, false }

func (m *model) marked() bool { return m.first != 0 || m.ranged }

func (m *model) mode() {
	switch m.rand.Intn(4) {
	case 0:
		m.c.cmd(200, "TYPE A")
		m.ascii = true
	case 1:
		m.c.cmd(200, "TYPE I")
		m.ascii = false
	case 2:
		m.c.cmd(200, "MODE Z")
		m.zipped = true
	case 3:
		m.c.cmd(200, "MODE S")
		m.zipped = false
	}
	m.logf("ascii %v, zipped %v", m.ascii, m.zipped)
}

// place is one in a file, or not far behind its end.
func (m *model) place() int { return m.rand.Intn(max(1, len(m.files[m.name()])+3)) }

func (m *model) rest() {
	m.clear()
	m.first = m.place()
	m.c.cmd(350, "REST %d", m.first)
	m.logf("REST %d", m.first)
}

func (m *model) rang() {
	first, n := m.place(), m.rand.Intn(20)
	m.clear()
	switch {
	case m.zipped:
		m.c.cmd(501, "RANG %d %d", first, first+n)
	case m.rand.Intn(8) == 0:
		m.c.cmd(350, "RANG 1 0")
	default:
		m.c.cmd(350, "RANG %d %d", first, first+n)
		m.first, m.last, m.ranged = first, first+n, true
	}
	m.logf("RANG %d %d", first, first+n)
}

// toWire is what TYPE A sends of a file: no LF without its CR.
func toWire(content string) string {
	return strings.ReplaceAll(strings.ReplaceAll(content, "\r\n", "\n"), "\n", "\r\n")
}

// fromWire is what TYPE A stores.
func fromWire(data string) string { return strings.ReplaceAll(data, "\r\n", "\n") }

// part is what the marker means of a text; ok is false where REST is too far.
func (m *model) part(text string) (part string, ok bool) {
	switch {
	case m.first > len(text):
		return "", m.ranged
	case m.ranged:
		return text[m.first:min(len(text), m.last+1)], true
	}
	return text[m.first:], true
}

func (m *model) retr() {
	name := m.name()
	defer m.clear()
	text, there := m.files[name]
	if m.ascii {
		text = toWire(text)
	}
	want, ok := m.part(text)
	m.logf("RETR %s", name)
	if !there || !ok {
		m.c.passive()
		m.c.cmd(map[bool]int{false: 550, true: 554}[there], "RETR %s", name)
		return
	}
	got, code := m.c.retr("RETR %s", name)
	if m.zipped {
		got = unzip(m.t, got)
	}
	if code != 226 || got != want {
		m.t.Errorf("RETR %s: %d, %.60q, not %.60q", name, code, got, want)
	}
}

func (m *model) stor() { m.store("STOR") }
func (m *model) appe() { m.store("APPE") }

func (m *model) store(verb string) {
	name, data := m.name(), m.content()
	defer m.clear()
	old, there := m.files[name]
	m.logf("%s %s of %.40q", verb, name, data)
	if m.ascii && m.marked() || m.first > len(old) {
		m.c.passive()
		m.c.cmd(554, "%s %s", verb, name)
		return
	}
	wire, kept := data, data
	if m.ascii {
		kept = fromWire(data)
	}
	if m.zipped {
		wire = zipped(m.t, data)
	}
	code := m.c.stor(wire, "%s %s", verb, name)
	if m.ranged && m.first+len(kept) > m.last+1 {
		m.excess(name, code, old, kept)
		return
	}
	switch {
	case code != 226:
		m.t.Errorf("%s: %d", verb, code)
	case m.marked():
		m.files[name] = overlay(old, kept, m.first)
	case verb == "APPE" && there:
		m.files[name] = old + kept
	default:
		m.files[name] = kept
	}
}

// overlay is text with data written over it.
func overlay(text, data string, at int) string {
	return text[:at] + data + text[min(len(text), at+len(data)):]
}

// excess: what is more than a range has room for is refused, and what of the rest
// was written is within it.
func (m *model) excess(name string, code int, old, data string) {
	room := data[:m.last+1-m.first]
	got := m.c.rig.get(name)
	full := overlay(old, room, m.first)
	if code != 451 || got != old && got != full && !(m.zipped && strings.HasPrefix(full, got)) {
		m.t.Errorf("more than a range: %d, %s is %.60q", code, name, got)
	}
	m.files[name] = got
}

func (m *model) hash() {
	name := m.name()
	text, there := m.files[name]
	first, ranged := m.first, m.ranged
	want := text
	if ranged {
		want, _ = m.part(text)
		m.clear()
	}
	m.logf("HASH %s", name)
	if !there {
		m.c.cmd(550, "HASH %s", name)
		return
	}
	reply := m.c.cmd(213, "HASH %s", name)
	if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(want))); !strings.Contains(reply, sum) {
		m.t.Errorf("HASH %s: %s", name, reply)
	}
	if ranged && !strings.Contains(reply, fmt.Sprintf(" %d-", first)) {
		m.t.Errorf("HASH %s from %d: %s", name, first, reply)
	}
}

func (m *model) size() {
	name := m.name()
	text, there := m.files[name]
	if m.ascii {
		text = toWire(text)
	}
	m.logf("SIZE %s", name)
	if !there || m.zipped {
		m.c.cmd(550, "SIZE %s", name)
		return
	}
	if reply := m.c.cmd(213, "SIZE %s", name); reply != fmt.Sprint("213 ", len(text)) {
		m.t.Errorf("SIZE %s: %s, not %d", name, reply, len(text))
	}
}

// join copies, and joins up to three files, of which one may be the result.
func (m *model) join() {
	to, parts := m.name(), []string{m.name(), m.name(), m.name()}[:1+m.rand.Intn(3)]
	m.logf("COMB %s of %s", to, parts)
	var all bytes.Buffer
	code := 250
	for _, p := range parts {
		text, there := m.files[p]
		if all.WriteString(text); !there {
			code = 550
		}
	}
	m.c.cmd(code, "COMB %s %s", to, strings.Join(parts, " "))
	if code == 250 && all.Len() < 1<<20 {
		m.files[to] = all.String()
	} else if code == 250 { // enough: it would double for ever
		m.c.cmd(250, "DELE %s", to)
		delete(m.files, to)
	}
}

func (m *model) rename() {
	from, to := m.name(), m.name()
	m.logf("RNFR %s, RNTO %s", from, to)
	text, there := m.files[from]
	if !there {
		m.c.cmd(550, "RNFR %s", from)
		return
	}
	m.c.cmd(350, "RNFR %s", from)
	m.c.cmd(250, "RNTO %s", to)
	delete(m.files, from)
	m.files[to] = text
}

// TestTextsHaveAnEnd: a file that grows while it is counted, or gives way to a
// larger one, is counted no further than it was when it was looked at.
func TestTextsHaveAnEnd(t *testing.T) {
	if n, err := asciiSize(lines{}, 10); n != 20 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	src, err := marker{first: 1 << 62, last: 1 << 62, ranged: true}.text(lines{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(src); len(rest) != 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

// lines are empty ones without end.
type lines struct{}

func (lines) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '\n'
	}
	return len(p), nil
}
