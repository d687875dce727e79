// Package charset turns names between UTF-8 and the encodings that file systems
// and old clients have.
//
// A name is converted only if it comes back the same: what has no counterpart,
// or more than one, is refused, and never replaced by something like it. The
// decoders behind this would put U+FFFD where they fail, without an error, and
// two files would share a name.
package charset

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

// A Charset is an encoding of names. The nil Charset is UTF-8, which is what
// everything else here speaks: it passes bytes as they are, also invalid ones,
// since a file may be called so (RFC 2640, section 2.2).
//
// Its methods may be called from many goroutines.
type Charset struct {
	name string
	enc  encoding.Encoding
	// shifts tells that ASCII bytes mean other characters after an escape, as in
	// ISO 2022: then bytes below 0x80 must be looked at, too.
	shifts bool
}

// Why Lookup finds nothing.
var (
	// ErrUnknown is a name that no encoding has.
	ErrUnknown = errors.New("no charset is called that")
	// ErrNotASCII is an encoding in which "USER" and "/" are not what they are in
	// ASCII, so that no FTP could be spoken in it.
	ErrNotASCII = errors.New("not a superset of ASCII, which FTP is spoken in")
)

// Lookup returns the encoding of that name, in the many ways in which
// administrators write them.
func Lookup(name string) (*Charset, error) {
	enc := find(strings.ToLower(strings.TrimSpace(name)))
	switch {
	case enc == nil:
		return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
	case enc == unicode.UTF8:
		return nil, nil
	case !extendsASCII(enc):
		return nil, fmt.Errorf("%q is %w", name, ErrNotASCII)
	}
	return &Charset{name: nameOf(enc), enc: enc, shifts: enc == japanese.ISO2022JP || enc == simplifiedchinese.HZGB2312}, nil
}

// find asks the registry of IANA first, because the index of HTML follows
// browsers, to which ISO-8859-1 is windows-1252. The registry knows names of
// encodings that are not built here: then it answers nil, and no error.
func find(name string) encoding.Encoding {
	if enc, err := ianaindex.IANA.Encoding(name); err == nil && enc != nil {
		return enc
	}
	if known, ok := aliases[squeeze(name)]; ok {
		name = known
		if enc, err := ianaindex.IANA.Encoding(name); err == nil && enc != nil {
			return enc
		}
	}
	enc, err := htmlindex.Get(name)
	if err != nil || enc == encoding.Replacement || enc == charmap.XUserDefined {
		return nil
	}
	return enc
}

// squeeze takes out of a name what people put between its parts.
func squeeze(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_ .:", r) {
			return -1
		}
		return r
	}, name)
}

// aliases are names of iconv, of Java and of Windows that neither index has, and
// those that the index of HTML would take for others. They are squeezed.
var aliases = makeAliases()

func makeAliases() map[string]string {
	m := map[string]string{
		"ascii": "us-ascii", "c": "us-ascii", "posix": "us-ascii", "ansix341968": "us-ascii",
		"utf8": "utf-8", "unicode11utf8": "utf-8",
		"big5": "big5", "cp950": "big5", "ms950": "big5", "windows950": "big5", "big5eten": "big5", "big5hkscs": "big5", "cp1370": "big5",
		"cp936": "gbk", "ms936": "gbk", "windows936": "gbk", "euccn": "gbk", "gb2312": "gbk",
		"cp54936": "gb18030", "hz": "hz-gb-2312", "hzgb2312": "hz-gb-2312",
		"cp932": "shift_jis", "ms932": "shift_jis", "windows932": "shift_jis", "windows31j": "shift_jis", "sjis": "shift_jis", "shiftjis": "shift_jis", "ibm943": "shift_jis",
		"eucjp": "euc-jp", "ujis": "euc-jp", "cp51932": "euc-jp", "eucjpms": "euc-jp", "iso2022jp": "iso-2022-jp", "cp50220": "iso-2022-jp",
		"cp949": "euc-kr", "ms949": "euc-kr", "windows949": "euc-kr", "uhc": "euc-kr", "euckr": "euc-kr",
		"koi8r": "koi8-r", "koi8u": "koi8-u",
		"macroman": "macintosh", "macosroman": "macintosh", "maccyrillic": "x-mac-cyrillic",
		"tis620": "windows-874", "iso885911": "windows-874", "cp874": "windows-874",
		"cp858": "ibm00858", "ibm858": "ibm00858", "latin9": "iso-8859-15", "l9": "iso-8859-15", "latin10": "iso-8859-16",
	}
	for i := 1; i <= 16; i++ {
		if i != 11 && i != 12 {
			m[fmt.Sprint("iso8859", i)] = fmt.Sprint("iso-8859-", i)
			m[fmt.Sprint("8859", i)] = fmt.Sprint("iso-8859-", i)
		}
	}
	for i, part := range []int{1, 2, 3, 4, 9, 10, 13, 14} { // latin1 to latin8
		m[fmt.Sprint("latin", i+1)] = fmt.Sprint("iso-8859-", part)
	}
	for i := 1250; i <= 1258; i++ {
		m[fmt.Sprint("cp", i)] = fmt.Sprint("windows-", i)
		m[fmt.Sprint("win", i)] = fmt.Sprint("windows-", i)
		m[fmt.Sprint("windows", i)] = fmt.Sprint("windows-", i)
	}
	for _, i := range []int{437, 850, 852, 855, 860, 862, 863, 865, 866} {
		m[fmt.Sprint("cp", i)] = fmt.Sprint("ibm", i)
		m[fmt.Sprint("ibm", i)] = fmt.Sprint("ibm", i)
	}
	return m
}

// extendsASCII tells whether the printable characters of ASCII are what they are
// in ASCII. The tilde of HZ begins its escapes, and so is written twice.
func extendsASCII(enc encoding.Encoding) bool {
	for b := byte(' '); b < 0x7f; b++ {
		text, err := enc.NewDecoder().String(string(rune(b)))
		if (err != nil || text != string(rune(b))) && (b != '~' || enc != simplifiedchinese.HZGB2312) {
			return false
		}
	}
	return true
}

// encodings are all that golang.org/x/text has.
func encodings() []encoding.Encoding {
	all := []encoding.Encoding{unicode.UTF8, find("us-ascii")}
	for _, list := range [][]encoding.Encoding{charmap.All, japanese.All, korean.All, simplifiedchinese.All, traditionalchinese.All} {
		all = append(all, list...)
	}
	return all
}

// Names returns the names of all encodings that there are here, as MIME has them.
func Names() []string {
	var names []string
	for _, enc := range encodings() {
		if enc != charmap.XUserDefined && extendsASCII(enc) {
			names = append(names, nameOf(enc))
		}
	}
	return names
}

func nameOf(enc encoding.Encoding) string {
	if name, err := ianaindex.MIME.Name(enc); err == nil {
		return name
	}
	name, err := htmlindex.Name(enc)
	if err != nil {
		return fmt.Sprint(enc)
	}
	return name
}

// Name returns the encoding's own name, whatever it was looked up by.
func (c *Charset) Name() string {
	if c == nil {
		return "UTF-8"
	}
	return c.name
}

// Shifts tells whether the bytes of ASCII mean other characters behind an escape.
// Of such an encoding no file names can be made: a slash would be in the middle
// of some characters.
func (c *Charset) Shifts() bool { return c != nil && c.shifts }

// Decode returns a name in UTF-8; ok is false if it would not come back the same.
func (c *Charset) Decode(name string) (text string, ok bool) {
	if c == nil || c.plain(name) {
		return name, true
	}
	text, err := c.enc.NewDecoder().String(name)
	if err != nil || strings.ContainsRune(text, utf8.RuneError) {
		return "", false
	}
	back, err := c.encode(text)
	return text, err == nil && back == name
}

// Encode returns a name of UTF-8 in this encoding; ok is false if it would not
// come back the same.
func (c *Charset) Encode(text string) (name string, ok bool) {
	if c == nil || c.plain(text) {
		return text, true
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) {
		return "", false
	}
	name, err := c.encode(text)
	if err != nil {
		return "", false
	}
	back, err := c.enc.NewDecoder().String(name)
	return name, err == nil && back == text
}

// encode converts, and ends in ASCII where there are escapes: a blank brings it
// back, which the encoders do not do at the end of a text.
func (c *Charset) encode(text string) (string, error) {
	if !c.shifts {
		return c.enc.NewEncoder().String(text)
	}
	name, err := c.enc.NewEncoder().String(text + " ")
	return strings.TrimSuffix(name, " "), err
}

// Approximate is Encode for a text that only people read: what it cannot hold
// becomes a question mark.
func (c *Charset) Approximate(text string) string {
	if name, ok := c.Encode(text); ok {
		return name
	}
	var b strings.Builder
	for _, r := range text {
		if _, ok := c.Encode(string(r)); !ok {
			r = '?'
		}
		b.WriteRune(r)
	}
	name, ok := c.Encode(b.String())
	if !ok {
		return strings.Map(func(r rune) rune {
			if r >= utf8.RuneSelf || r < ' ' {
				return '?'
			}
			return r
		}, text)
	}
	return name
}

// plain tells whether a text is the same in ASCII, and so in both encodings.
func (c *Charset) plain(text string) bool {
	for i := range len(text) {
		if b := text[i]; b >= utf8.RuneSelf || c.shifts && (b < ' ' || b == '~') {
			return false
		}
	}
	return true
}
