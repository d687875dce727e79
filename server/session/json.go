package session

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
)

// The list of a busy daemon is long and asked for every second, so it is written
// and read here, at less than a half and a fifth of what encoding/json takes.
// What it looks like is still said once, by the tags of Info.

// keys are Info's fields as they stand in its JSON: `{"id":`, `,"remote":` ...
var keys = func() (keys []string) {
	for n, t := 0, reflect.TypeFor[Info](); n < t.NumField(); n++ {
		keys = append(keys, `,"`+t.Field(n).Tag.Get("json")+`":`)
	}
	keys[0] = "{" + keys[0][1:]
	return keys
}()

// AppendJSON appends the session as a JSON object on one line, to the byte what
// encoding/json makes of it (with its escaping of HTML off).
func (i *Info) AppendJSON(b []byte) []byte {
	v := reflect.ValueOf(i).Elem()
	for n, key := range keys {
		b = appendValue(append(b, key...), v.Field(n).Addr().Interface())
	}
	return append(b, '}')
}

func appendValue(b []byte, field any) []byte {
	switch p := field.(type) {
	case *ID:
		return strconv.AppendUint(b, uint64(*p), 10)
	case *int:
		return strconv.AppendInt(b, int64(*p), 10)
	case *int64:
		return strconv.AppendInt(b, *p, 10)
	case *string:
		return quoteFrom(append(append(b, '"'), *p...), len(b))
	case encoding.TextAppender:
		text, err := p.AppendText(append(b, '"'))
		if err != nil { // a time beyond the year 9999
			return append(b, `""`...)
		}
		return quoteFrom(text, len(b))
	}
	panic("a field of Info has a type that JSON was not taught")
}

// quoteFrom ends the string that begins with the quote at b[start]. Most need no
// escape; the others are left to encoding/json.
func quoteFrom(b []byte, start int) []byte {
	if plain(b[start+1:]) {
		return append(b, '"')
	}
	var quoted bytes.Buffer
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(string(b[start+1:])) // of a string it cannot fail
	return append(b[:start], bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
}

// plain reports whether text stands in a JSON string as it is.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// ParseJSON reads one session. What AppendJSON writes it reads fast, anything
// else through encoding/json.
func (i *Info) ParseJSON(text []byte) error {
	*i = Info{}
	if i.parse(text) {
		return nil
	}
	*i = Info{}
	return json.Unmarshal(text, i)
}

func (i *Info) parse(text []byte) bool {
	v := reflect.ValueOf(i).Elem()
	for n, key := range keys {
		rest, found := bytes.CutPrefix(text, []byte(key))
		if !found {
			return false
		}
		// A value ends at a comma or brace, or, in a string, at the quote.
		var value []byte
		if len(rest) > 0 && rest[0] == '"' {
			end := bytes.IndexByte(rest[1:], '"')
			if end < 0 || !plain(rest[1:1+end]) {
				return false
			}
			value, text = rest[1:1+end], rest[end+2:]
			if !parseText(v.Field(n).Addr().Interface(), value) {
				return false
			}
			continue
		}
		end := bytes.IndexAny(rest, ",}")
		if end < 0 || !parseNumber(v.Field(n).Addr().Interface(), rest[:end]) {
			return false
		}
		text = rest[end:]
	}
	return len(text) == 1 && text[0] == '}'
}

func parseText(field any, text []byte) bool {
	switch p := field.(type) {
	case *string:
		*p = string(text)
		return true
	case encoding.TextUnmarshaler:
		return p.UnmarshalText(text) == nil
	}
	return false
}

func parseNumber(field any, text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' || digits[0] == '0' && len(text) > 1 {
		return false // JSON knows neither +1 nor 01
	}
	var err error
	switch p := field.(type) {
	case *ID:
		var n uint64
		n, err = strconv.ParseUint(string(text), 10, 64)
		*p = ID(n)
	case *int:
		*p, err = strconv.Atoi(string(text))
	case *int64:
		*p, err = strconv.ParseInt(string(text), 10, 64)
	default:
		return false
	}
	return err == nil
}
