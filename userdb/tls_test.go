package userdb

import (
	"encoding/json"
	"testing"
)

func TestTLSInJSON(t *testing.T) {
	for want, demand := range map[string]TLS{`"login"`: TLSLogin, `"data"`: TLSData, `"optional"`: TLSOptional} {
		text, err := json.Marshal(demand)
		if err != nil || string(text) != want {
			t.Errorf("%v is %s, %v", demand, text, err)
		}
		var back TLS
		if err := json.Unmarshal(text, &back); err != nil || back != demand {
			t.Errorf("%s is read as %v, %v", text, back, err)
		}
	}
	if err := json.Unmarshal([]byte(`"maybe"`), new(TLS)); err == nil {
		t.Error("maybe is read")
	}
	u := least("a")
	u.TLS = 3
	if u.Validate() == nil || u.TLS.String() != "unknown" {
		t.Error("a demand that is not known is valid")
	}
}
