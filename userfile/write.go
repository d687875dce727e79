package userfile

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"

	"portreeve/puredb"
	"portreeve/userdb"
)

// Lost is told what of a user a format cannot hold.
type Lost func(name string, attributes []string)

// Write writes users in a format. An error of the sequence ends it.
func Write(to io.Writer, format Format, users iter.Seq2[userdb.User, error], lost Lost) error {
	out := bufio.NewWriterSize(to, 64<<10)
	var err error
	switch format {
	case PureText:
		err = writeLines(out, pureLines(users, lost))
	case PureDB:
		err = puredb.Write(out, pureLines(users, lost))
	case CSV:
		err = writeCSV(out, users)
	case JSON:
		err = writeJSON(out, users)
	default:
		err = fmt.Errorf("%w that can be written: %q", ErrFormat, format)
	}
	return cmp.Or(err, out.Flush())
}

// pureLines yields the name of each user and what follows it in a line of pure-pw.
func pureLines(users iter.Seq2[userdb.User, error], lost Lost) iter.Seq2[[2]string, error] {
	return func(yield func([2]string, error) bool) {
		now := time.Now()
		for u, err := range users {
			if err != nil {
				yield([2]string{}, err)
				return
			}
			fields, without := puredb.FormatUser(&u, now)
			if len(without) > 0 {
				lost(u.Name, without)
			}
			if !yield([2]string{u.Name, fields}, nil) {
				return
			}
		}
	}
}

func writeLines(out *bufio.Writer, lines iter.Seq2[[2]string, error]) error {
	for u, err := range lines {
		if err == nil {
			_, err = out.WriteString(u[0] + ":" + u[1] + "\n")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func writeCSV(out io.Writer, users iter.Seq2[userdb.User, error]) error {
	t, err := newTableWriter(out)
	if err != nil {
		return err
	}
	for u, err := range users {
		if err == nil {
			err = t.write(&u)
		}
		if err != nil {
			return err
		}
	}
	return t.close()
}

func writeJSON(out io.Writer, users iter.Seq2[userdb.User, error]) error {
	objects := json.NewEncoder(out)
	objects.SetEscapeHTML(false)
	for u, err := range users {
		if err == nil {
			err = objects.Encode(jsonUser{User: &u, Password: &u.Password})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
